/**
 * Who a file or storage daemon is: by the certificates that its configuration names, or, with Bacula's own configuration,
 * by those that it gets at the first contact with its director.
 */
import type { BaculaOrigin } from "../../common/bacula/origin.js";
import type { Log } from "../../common/log.js";
import { loadTls, type TlsFiles, type TlsMaterial } from "../../common/tls/load.js";
import type { FrontDoor, Peer } from "../rpc.js";
import { DaemonEnrolment } from "./daemon.js";

export interface DaemonIdentity {
  /** What to show now. @throws BackupError NOT_ENROLLED before the first contact */
  tls(): TlsMaterial;
  /** Options for the server. */
  readonly server: { readonly tls?: TlsMaterial; readonly frontDoor?: FrontDoor };
  /** Looks at a director with a good certificate. @throws BackupError PASSWORD_PROOF_NEEDED */
  admit(peer: Peer): void;
  /** Undefined with certificates that the configuration names. */
  readonly enrolment?: DaemonEnrolment;
}

interface DaemonFacts {
  readonly name: string;
  readonly tls: TlsFiles;
  /** Names of the directors that may give orders: nobody else is enrolled, whatever password it knows. */
  readonly directors: readonly string[];
  readonly bacula?: BaculaOrigin | undefined;
}

/** `config`: the one in force, asked each time. @throws BackupError TLS_INVALID */
export async function openIdentity(
  role: "filed" | "storaged",
  config: () => DaemonFacts,
  { log, isRevoked }: { log: Log; isRevoked: (fingerprint: string) => boolean },
): Promise<DaemonIdentity> {
  const { name, bacula, tls: files } = config();
  if (bacula === undefined) {
    const tls = loadTls(files);
    return { tls: () => tls, server: { tls }, admit: () => undefined };
  }
  const enrolment = await DaemonEnrolment.open({
    role,
    name,
    pki: `${bacula.stateDirectory}/pki`,
    passwordOf: (director) => {
      const { directors, bacula: origin } = config();
      return directors.includes(director) ? origin?.passwords.of("Director", director) : undefined;
    },
    isRevoked,
    log,
  });
  if (enrolment.tls() === undefined)
    log.info("waiting for the first contact of a director that knows the password");
  return {
    tls: () => enrolment.need(),
    server: { frontDoor: enrolment },
    admit: (peer) => enrolment.admit(peer),
    enrolment,
  };
}
