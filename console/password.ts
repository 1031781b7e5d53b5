/** A console that knows its director by a password: it gets a certificate for the connection that it is about to make. */

import { generateKeyPairSync, X509Certificate } from "node:crypto";
import { BackupError } from "../common/errors.js";
import { passwordKey } from "../common/tls/password.js";
import { spkiOf } from "../common/tls/pins.js";
import { callByPassword } from "../proto/enrol/call.js";
import { ISSUE } from "../proto/enrol/wire.js";
import type { RpcTls } from "../proto/rpc.js";
import type { ConsoleCredential, ConsoleDirector } from "./config.js";

export interface ByPassword {
  readonly tls: RpcTls;
  /** The director's own name: in Bacula a console may call it otherwise. */
  readonly name: string;
}

/**
 * Both sides prove the password; nothing is kept on disk.
 * @throws BackupError PEER_UNAVAILABLE (later), PASSWORD_WRONG, ENROL_ codes
 */
export function proveToDirector(
  { address, port, name }: ConsoleDirector,
  { console, password }: ConsoleCredential,
): Promise<ByPassword> {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const spki = publicKey.export({ type: "spki", format: "der" });
  const hello = { role: "console", name: console, calls: "director", key: spki.toString("base64") } as const;
  const label = `Director: ${name} on ${address}:${port}`;
  const keyFor = ({ name: director }: { name: string }): Promise<Buffer> =>
    passwordKey(password, { role: "console", director, peer: console });
  return callByPassword(
    { address, port, hello, keyFor, label },
    async ({ pipe, hello: called, certificate }) => {
      const { message } = await pipe.receive(ISSUE);
      const ca = new X509Certificate(message.ca);
      if (message.certificate === undefined || !new X509Certificate(certificate).verify(ca.publicKey)) {
        throw new BackupError("ENROL_REFUSED", `${label} gave certificates that do not fit its own`);
      }
      const cert = Buffer.from(message.certificate);
      if (!spkiOf(cert).equals(spki))
        throw new BackupError("ENROL_REFUSED", `${label} certified another key`);
      const key = Buffer.from(privateKey.export({ type: "pkcs8", format: "pem" }));
      return { tls: { ca: Buffer.from(message.ca), cert, key }, name: called.name };
    },
  );
}
