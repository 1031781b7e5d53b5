/**
 * `basalt client add|renew|revoke NAME`: certificates of file daemons. The private key is made here and leaves
 * with the bundle; what is kept is the certificate, in `pki/issued`.
 */

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { BackupError, EXIT } from "../../common/errors.js";
import { baculaTime, nowMs } from "../../common/time.js";
import { addRevoked, readRevoked } from "../../common/tls/revoked.js";
import { loadDirectorConfig } from "../config/load.js";
import type { DirectorConfig } from "../config/types.js";
import {
  certificatesIn,
  type FoundCertificate,
  hostsOf,
  issueAndRecord,
  makeDirectory,
  type Print,
  renderTemplate,
  replaceFile,
  writeNew,
} from "./files.js";

interface Installation {
  readonly config: DirectorConfig;
  /** Directory of director.yaml. */
  readonly directory: string;
  readonly pki: string;
}

/** Throws BackupError `CONFIG_INVALID` or `CONFIG_NOT_FOUND` when the director's configuration cannot be loaded. */
function openInstallation(configFile: string): Installation {
  const config = loadDirectorConfig(configFile);
  return { config, directory: path.dirname(config.files[0]!), pki: path.dirname(config.director.tls.caFile) };
}

function checkName(name: string): void {
  if (/^[A-Za-z0-9][A-Za-z0-9._@+-]{0,126}$/.test(name)) return;
  throw new BackupError(
    "USAGE",
    `"${name}" cannot be a client's name (letters, digits and . _ @ + -; at most 127)`,
  );
}

export interface AddClientOptions {
  readonly configFile: string;
  readonly name: string;
  /** Where director and storage daemon reach it. (Default: its name) */
  readonly address?: string | undefined;
  /** (Default: 9102) */
  readonly port?: number | undefined;
  /** Put the Client resource into conf.d instead of printing it. */
  readonly write?: boolean | undefined;
}

/** Makes the bundle `clients/NAME` and the Client resource. Throws BackupError `USAGE` when the name is taken. */
export async function addClient(options: AddClientOptions, print: Print): Promise<number> {
  const { name, address = name, port = 9102 } = options;
  checkName(name);
  if (!/^[A-Za-z0-9_[][A-Za-z0-9_.:[\]%-]*$/.test(address)) {
    throw new BackupError("USAGE", `"${address}" is not a host name or IP address`);
  }
  const { config, directory, pki } = openInstallation(options.configFile);
  const bundle = path.join(directory, "clients", name);
  if (existsSync(bundle)) {
    throw new BackupError(
      "USAGE",
      `${bundle} exists; use "basalt client renew ${name}" for a new certificate`,
    );
  }
  if (config.clients.has(name) && options.write === true) {
    throw new BackupError(
      "USAGE",
      `Client "${name}" is defined already; leave out --write to make its bundle only`,
    );
  }
  const made = await issueAndRecord(pki, { role: "filed", name, hosts: [address] });
  const template = renderTemplate("filed.yaml", { host: name, portBase: port - 1, directory });
  for (const part of ["pki", "hooks", "var/filed"]) makeDirectory(path.join(bundle, part));
  writeNew(path.join(bundle, "filed.yaml"), clientConfig(template, name, config.director.name), 0o600);
  writeNew(path.join(bundle, "pki/filed.crt"), made.certPem, 0o644);
  writeNew(path.join(bundle, "pki/filed.key"), made.keyPem, 0o600);
  copyShared({ config, directory, pki }, bundle);
  print(`made ${bundle}: copy it to ${address}, for example`);
  print(`  scp -rp ${bundle} root@${address}:/etc/basalt`);
  print("  basalt filed -c /etc/basalt/filed.yaml");
  print(`certificate of ${name}: SHA-256 ${made.fingerprint}, until ${baculaTime(made.notAfterMs)}`);
  giveResource({ name, address, port, write: options.write === true, directory, config }, print);
  return EXIT.ok;
}

/** The example file daemon under another name, listening for other machines. */
function clientConfig(template: string, name: string, director: string): string {
  return template
    .replaceAll(`${name}-fd`, () => name)
    .replaceAll(`${name}-dir`, () => JSON.stringify(director))
    .replace(/^( *Address: *)\S+( *#.*)?$/m, '$1"0.0.0.0"              # listens here');
}

function copyShared({ config, pki }: Installation, bundle: string): void {
  writeNew(path.join(bundle, "pki/ca.crt"), readFileSync(config.director.tls.caFile, "utf8"), 0o644);
  writeNew(path.join(bundle, "pki/ticket.pub"), readFileSync(path.join(pki, "ticket.pub"), "utf8"), 0o644);
  const { revokedFile } = config.director;
  const revoked = existsSync(revokedFile) ? readFileSync(revokedFile, "utf8") : "[]\n";
  writeNew(path.join(bundle, "pki/revoked.yaml"), revoked, 0o644);
}

interface ClientLines {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly write: boolean;
  readonly directory: string;
  readonly config: DirectorConfig;
}

function giveResource({ name, address, port, write, directory, config }: ClientLines, print: Print): void {
  const lines = [
    "Client:",
    `  - Name: ${JSON.stringify(name)}`,
    `    Address: ${JSON.stringify(address)}`,
  ].concat([
    `    Port: ${port}`,
    "    FileRetention: 60 days",
    "    JobRetention: 6 months",
    "    AutoPrune: yes",
  ]);
  if (!write) {
    if (config.clients.has(name)) return;
    print(`add to the director's configuration, then say "reload" on a console:`);
    for (const line of lines) print(line);
    return;
  }
  const file = path.join(directory, "conf.d", `client-${name}.yaml`);
  makeDirectory(path.dirname(file));
  if (!writeNew(file, `${lines.join("\n")}\n`, 0o600))
    throw new BackupError("USAGE", `${file} exists; it was kept`);
  const read = loadDirectorConfig(config.file).files.includes(file);
  print(
    read ? `wrote ${file}; say "reload" on a console` : `wrote ${file}, but no Include: reads it; add one`,
  );
}

export interface RenewOptions {
  readonly configFile: string;
  readonly name: string;
  /** Withdraw the certificates the name had until now. */
  readonly revokeOld?: boolean | undefined;
}

/**
 * A new key and certificate under the same name, for a client with a bundle or any daemon or console of this
 * installation. The old certificate stays good unless `revokeOld`. Throws BackupError `USAGE` for an unknown name.
 */
export async function renewCertificate(
  { configFile, name, revokeOld }: RenewOptions,
  print: Print,
): Promise<number> {
  const { config, directory, pki } = openInstallation(configFile);
  const places = [
    path.join(directory, "clients", name, "pki"),
    path.join(directory, "consoles", name, "pki"),
    pki,
  ];
  const old = places.flatMap((place) => certificatesIn(place)).find(({ identity }) => identity.name === name);
  if (old === undefined) throw new BackupError("USAGE", unknownName(name, directory, pki));
  const { role } = old.identity;
  const before = allCertificates({ config, directory, pki }, name, role);
  const made = await issueAndRecord(pki, { role, name, hosts: hostsOf(old.certificate) });
  replaceFile(old.file.replace(/\.crt$/, ".key"), made.keyPem, 0o600);
  replaceFile(old.file, made.certPem, 0o644);
  print(`renewed ${old.file} and its key`);
  print(`certificate of ${name}: SHA-256 ${made.fingerprint}, until ${baculaTime(made.notAfterMs)}`);
  const bundled = !old.file.startsWith(`${pki}${path.sep}`);
  print(
    !bundled
      ? "restart the daemon"
      : `copy ${path.dirname(old.file)} to its machine${role === "filed" ? " and restart filed there" : ""}`,
  );
  if (config.clients.get(name)?.fingerprint !== undefined) print(`update Fingerprint of Client "${name}"`);
  if (revokeOld !== true) return EXIT.ok;
  return withdraw(before, { file: config.director.revokedFile, reason: "renewed" }, print);
}

function unknownName(name: string, directory: string, pki: string): string {
  const local = certificatesIn(pki).map(({ identity }) => identity.name);
  return `no certificate of "${name}" in ${path.join(directory, "clients", name)} or ${pki} (there: ${local.join(", ")})`;
}

export interface RevokeOptions {
  readonly configFile: string;
  readonly name: string;
  readonly reason?: string | undefined;
}

/** Withdraws every certificate the client, or else the console, of that name ever had. Throws BackupError `USAGE` when it had none. */
export function revokeClient({ configFile, name, reason = "" }: RevokeOptions, print: Print): number {
  const installation = openInstallation(configFile);
  const { config, directory, pki } = installation;
  const ofClient = allCertificates(installation, name, "filed");
  const found = ofClient.length > 0 ? ofClient : allCertificates(installation, name, "console");
  if (found.length === 0) throw new BackupError("USAGE", unknownName(name, directory, pki));
  const status = withdraw(found, { file: config.director.revokedFile, reason }, print);
  if (ofClient.length > 0 && config.clients.has(name)) {
    print(`Client "${name}" is still configured; remove it or set Enabled: no, then say "reload"`);
  }
  return status;
}

/** Every certificate of a name that is on record, each once. */
function allCertificates({ directory, pki }: Installation, name: string, role: string): FoundCertificate[] {
  const bundles = ["clients", "consoles"].map((kind) => path.join(directory, kind, name, "pki"));
  const places = [path.join(pki, "issued"), pki, ...bundles];
  const found = places.flatMap((place) => certificatesIn(place));
  const own = found.filter(({ identity }) => identity.name === name && identity.role === role);
  return [...new Map(own.map((each) => [each.identity.fingerprint256, each])).values()];
}

function withdraw(
  certificates: readonly FoundCertificate[],
  { file, reason }: { file: string; reason: string },
  print: Print,
): number {
  const known = new Set(readRevoked(file).map(({ fingerprint }) => fingerprint));
  const at = baculaTime(nowMs());
  addRevoked(
    file,
    certificates.map(({ identity }) => ({
      fingerprint: identity.fingerprint256,
      name: identity.name,
      at,
      reason,
    })),
  );
  for (const { identity, certificate } of certificates) {
    const state = known.has(identity.fingerprint256) ? "was revoked already" : "revoked";
    print(
      `${state}: ${identity.name} SHA-256 ${identity.fingerprint256} (valid until ${certificate.validTo})`,
    );
  }
  print(`the daemons of this machine read ${file} at once; copy it to storage daemons on other machines`);
  return EXIT.ok;
}
