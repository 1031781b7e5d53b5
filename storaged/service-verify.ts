/** The director's calls for Verify jobs, and for checks of the catalog against the volumes. */

import { BackupError } from "../common/errors.js";
import type { CheckEvent } from "../proto/generated/basalt/v1/CheckEvent.js";
import type { CheckRequest__Output } from "../proto/generated/basalt/v1/CheckRequest.js";
import type { StorageVerify__Output } from "../proto/generated/basalt/v1/StorageVerify.js";
import type { CallContext, Handlers, Peer } from "../proto/rpc.js";
import { runCheck } from "./check/check.js";
import type { Finding } from "./check/types.js";
import type { StoragedOptions } from "./service.js";
import { VerifySession } from "./session/verify-session.js";

/** What the service does for its parts. */
export interface VerifyHost {
  options: StoragedOptions;
  run: (session: VerifySession, context: CallContext) => Promise<void>;
  /** Checks and uses up a job's ticket. @throws BackupError TICKET_ codes */
  admit: (request: StorageVerify__Output, director: Peer) => void;
}

export function verifyHandlers(host: VerifyHost): Handlers {
  const { catalog, store, log, config, verifier, connect } = host.options;
  const devices = () => config().devices;
  return {
    StartVerify: async (request: StorageVerify__Output, context, send) => {
      host.admit(request, context.peer);
      const { workingDirectory, name: storage } = config();
      const deps = { catalog, store, log, workingDirectory, devices, verifier, storage, connect };
      await host.run(new VerifySession(deps, request, send), context);
    },
    Check: checkHandler(host.options),
  };
}

/** Findings as they are made, at the end a summary. One check at a time. */
function checkHandler({ catalog, store, verifier, config, desk }: StoragedOptions): Handlers[string] {
  let running = false;
  const devices = () => config().devices;
  const inUse = (volume: number) => [...desk.openVolumes].some(({ record }) => record.id === volume);
  return async (request: CheckRequest__Output, { signal }, send: (event: CheckEvent) => Promise<void>) => {
    if (running) throw new BackupError("CHECK_RUNNING", "a check is running already", { retry: "later" });
    running = true;
    try {
      const telling = {
        finding: (finding: Finding) =>
          send({ finding: { ...finding, path: Buffer.from(finding.path, "latin1") } }),
        progress: (volume: string, bytesRead: number) => send({ progress: { volume, bytesRead } }),
      };
      const summary = await runCheck({ catalog, store, verifier, devices, inUse }, request, telling, signal);
      await send({ summary });
    } finally {
      running = false;
    }
  };
}
