/** A console that knows its director by a password: it gets a certificate for the connection that it is about to make. */

import { generateKeyPairSync } from "node:crypto";
import { BackupError } from "../common/errors.js";
import { isDirectorOf } from "../common/tls/identity.js";
import { passwordKey } from "../common/tls/password.js";
import { spkiOf } from "../common/tls/pins.js";
import { callByPassword } from "../proto/enrol/call.js";
import { ISSUE } from "../proto/enrol/wire.js";
import type { RpcTls } from "../proto/rpc.js";
import type { ConsoleCredential, ConsoleDirector } from "./config.js";
import { DirectorNote, notesDirectory } from "./director-notes.js";

export interface ByPassword {
  readonly tls: RpcTls;
  /** The director's own name: in Bacula a console may call it otherwise. */
  readonly name: string;
}

/**
 * Both sides prove the password. The CA of a director that is met the first time is noted in `notes`; another one that
 * answers there later on gets no proof.
 * @throws BackupError PEER_UNAVAILABLE (later), PASSWORD_WRONG, TLS_PIN_CHANGED, ENROL_ codes
 */
export function proveToDirector(
  director: ConsoleDirector,
  { console, password }: ConsoleCredential,
  notes = notesDirectory(),
): Promise<ByPassword> {
  const { address, port, name } = director;
  const note = new DirectorNote(notes, director);
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = publicKey.export({ type: "spki", format: "der" });
  const hello = { role: "console", name: console, calls: "director", key: spki.toString("base64") } as const;
  const label = `Director: ${name} on ${address}:${port}`;
  const keyFor = (called: { name: string }): Promise<Buffer> =>
    passwordKey(password, { role: "console", director: called.name, peer: console });
  const accept = (certificate: Buffer): void => note.check(certificate);
  return callByPassword(
    { address, port, hello, accept, keyFor, label },
    async ({ pipe, hello: called, certificate }) => {
      const { message } = await pipe.receive(ISSUE);
      const known = note.ca();
      const ca = known ?? Buffer.from(message.ca);
      if (message.certificate === undefined || !isDirectorOf(ca, certificate, called.name)) {
        throw new BackupError("ENROL_REFUSED", `${label} gave certificates that do not fit its own`);
      }
      const cert = Buffer.from(message.certificate);
      if (!spkiOf(cert).equals(spki))
        throw new BackupError("ENROL_REFUSED", `${label} certified another key`);
      const key = Buffer.from(privateKey.export({ type: "pkcs8", format: "pem" }));
      if (known === undefined) note.keep(message.ca);
      return { tls: { ca, cert, key }, name: called.name };
    },
  );
}
