/** The one place where errors become gRPC statuses and back. */
import * as grpc from "@grpc/grpc-js";
import { BackupError, codeOf, describeError } from "../../common/errors.js";

const CODE_KEY = "basalt-code";

const STATUS_BY_CODE: Readonly<Record<string, grpc.status>> = {
  PERMISSION_DENIED: grpc.status.PERMISSION_DENIED,
  TLS_IDENTITY: grpc.status.UNAUTHENTICATED,
  CERTIFICATE_REVOKED: grpc.status.UNAUTHENTICATED,
  PROTOCOL_MISMATCH: grpc.status.FAILED_PRECONDITION,
  NOT_FOUND: grpc.status.NOT_FOUND,
  ABORT_ERR: grpc.status.CANCELLED,
};

/** What a handler threw, as the error that grpc-js sends. */
export function toStatus(error: unknown): Partial<grpc.StatusObject> & { name: string; message: string } {
  const metadata = new grpc.Metadata();
  const code = codeOf(error) ?? "INTERNAL";
  metadata.set(CODE_KEY, code);
  const details = describeError(error);
  return {
    name: "Error",
    message: details,
    code: STATUS_BY_CODE[code] ?? grpc.status.UNKNOWN,
    details,
    metadata,
  };
}

const NAMED: Partial<Record<grpc.status, string>> = {
  [grpc.status.UNAVAILABLE]: "PEER_UNAVAILABLE",
  [grpc.status.DEADLINE_EXCEEDED]: "PEER_TIMEOUT",
  [grpc.status.CANCELLED]: "ABORT_ERR",
  [grpc.status.UNIMPLEMENTED]: "PROTOCOL_MISMATCH",
};

/** A failed call as BackupError: the peer's own code and words where it sent them. */
export function rpcError(error: unknown): BackupError {
  if (error instanceof BackupError) return error;
  const service = error as Partial<grpc.ServiceError>;
  const sent = service.metadata?.get(CODE_KEY)[0];
  const status = typeof service.code === "number" ? NAMED[service.code] : undefined;
  const code = typeof sent === "string" ? sent : (status ?? "CONNECTION_LOST");
  const text =
    service.details !== undefined && service.details !== ""
      ? withoutFrame(service.details)
      : describeError(error);
  const retry = code === "PEER_UNAVAILABLE" || code === "PEER_TIMEOUT" ? "later" : "never";
  return new BackupError(code, text, { retry, ...(typeof sent === "string" ? {} : { cause: error }) });
}

/** The system's own error out of what grpc-js says when no connection could be made. */
function withoutFrame(details: string): string {
  const last = /^No connection established\. Last error: (?:Error: )?(.*)$/s.exec(details)?.[1];
  return (last ?? details).replace(/\.? ?Resolution note:.*$/s, "");
}
