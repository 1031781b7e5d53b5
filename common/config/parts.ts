/** Directives that several daemons share: paths, addresses, certificates. */

import path from "node:path";
import { BackupError } from "../errors.js";
import type { TlsFiles } from "../tls/load.js";
import { type Diagnostics, quoted } from "./diagnostics.js";
import { requireDirectives } from "./resources.js";
import { type Block, type BlockOf, type BlockSpec, block, type Directive, scalar } from "./spec.js";

/** A path as written; secrets pasted in place of the file's name are refused without being repeated. */
export function pathText(): Directive<string> {
  return scalar((value) => {
    if (value.includes("-----BEGIN")) throw new Error("the name of a file is expected, not its contents");
    if (value.includes("\0")) throw new Error(`${quoted(value)} is not a path`);
    return value;
  });
}

/** A path that must start with `/`, without a slash at its end. */
export function absolutePath(): Directive<string> {
  return scalar((value) => {
    if (!value.startsWith("/") || value.includes("\0"))
      throw new Error(`${quoted(value)} is not an absolute path`);
    return value === "/" ? value : value.replace(/\/+$/, "");
  });
}

/** A number from 0 to 100, with or without the sign. */
export function percent(): Directive<number> {
  return scalar(parsePercent);
}

/** @throws BackupError VALUE_INVALID */
export function parsePercent(value: string): number {
  const number = /^\s*\d+(\.\d+)?\s*%?\s*$/.test(value) ? Number.parseFloat(value) : Number.NaN;
  if (number >= 0 && number <= 100) return number;
  throw new BackupError("VALUE_INVALID", `${quoted(value)} is not a percentage (such as 1%, 0.5%)`);
}

/** A host name or IP address to connect to or listen on. */
export function address(): Directive<string> {
  return scalar((value) => {
    const host = value.trim();
    const named = /^[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?\.?$/.test(host);
    if (host.length <= 253 && (named || /^\[?[0-9a-fA-F:.]*:[0-9a-fA-F:.]+(%\w+)?\]?$/.test(host)))
      return host;
    throw new Error(`${quoted(value)} is not a host name or IP address (the port has its own directive)`);
  });
}

/** A SHA-256 in hex, with or without colons; lower-case hex without colons results. */
export function fingerprint(): Directive<string> {
  return scalar((value) => {
    const hex = value.replace(/[:\s]/g, "").toLowerCase();
    if (/^[0-9a-f]{64}$/.test(hex)) return hex;
    throw new Error(`${quoted(value)} is not a SHA-256 fingerprint (64 hex digits)`);
  });
}

const tlsDirectives = { caFile: pathText(), certFile: pathText(), keyFile: pathText() };

const TLS_SPEC: BlockSpec<typeof tlsDirectives> = {
  directives: tlsDirectives,
  aliases: {
    CaCertificateFile: "caFile",
    TlsCaCertificateFile: "caFile",
    Certificate: "certFile",
    TlsCertificate: "certFile",
    Key: "keyFile",
    TlsKey: "keyFile",
  },
};

/** `TLS: {CaFile: …, CertFile: …, KeyFile: …}` */
export const tls = (): Directive<BlockOf<typeof TLS_SPEC>> => block(TLS_SPEC);

/** The TLS files of a resource, absolute; reports what is missing. */
export function toTlsFiles(
  resource: Block<Record<string, Directive<unknown>>> & { readonly directory: string },
  given: BlockOf<typeof TLS_SPEC> | undefined,
  diagnostics: Diagnostics,
): TlsFiles {
  if (given === undefined) requireDirectives(resource, ["tls"], diagnostics);
  else requireDirectives(given, ["caFile", "certFile", "keyFile"], diagnostics);
  const file = (name: string | undefined): string => path.resolve(resource.directory, name ?? "");
  const { caFile, certFile, keyFile } = given?.values ?? {};
  return { caFile: file(caFile), certFile: file(certFile), keyFile: file(keyFile) };
}

/** Directives of Bacula's daemons that have nothing to act on here, with the reason that warnings give. */
export const DAEMON_NO_EFFECT: Readonly<Record<string, string>> = {
  Password: "peers prove who they are with certificates; take it out of the file",
  PidDirectory: "the service manager keeps track of the process",
  SubSysDirectory: "the service manager keeps track of the process",
  PluginDirectory: "there are no plugins",
  ScriptsDirectory: "hook scripts are named by their path",
  MaximumConsoleConnections: "console connections are not counted",
  CommCompression: "data is compressed before it is sent",
  Monitor: "what a console may do is set by its Console resource",
  TlsEnable: "connections always use TLS",
  TlsRequire: "connections always use TLS",
  TlsVerifyPeer: "both sides are always verified",
};
