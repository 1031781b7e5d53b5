/**
 * `basalt init DIR`: a complete installation on one machine that works as it is: CA, certificates, ticket keys,
 * four configuration files, directories. Nothing that exists is ever overwritten.
 */

import { copyFileSync, existsSync, readdirSync } from "node:fs";
import { hostname } from "node:os";
import path from "node:path";
import { BackupError, EXIT } from "../../common/errors.js";
import { packageRoot } from "../../common/package.js";
import type { Role } from "../../common/tls/identity.js";
import { issueCa, issueTicketKeys } from "../../common/tls/issue.js";
import { issueAndRecord, makeDirectory, type Print, renderTemplate, writeNew } from "./files.js";

export interface InitOptions {
  readonly directory: string;
  /** Start of all names: NAME-dir, NAME-fd, NAME-sd, NAME-console. (Default: the host's name) */
  readonly name?: string | undefined;
  /** Port of the director; file and storage daemon get the next two. (Default: 9101) */
  readonly portBase?: number | undefined;
  /** Further host names and addresses for the certificates. */
  readonly hosts?: readonly string[] | undefined;
}

const CONFIG_FILES = ["director.yaml", "filed.yaml", "storaged.yaml", "console.yaml"] as const;

const PEERS: readonly (readonly [file: string, role: Role, suffix: string])[] = [
  ["director", "director", "dir"],
  ["filed", "filed", "fd"],
  ["storaged", "storaged", "sd"],
  ["console", "console", "console"],
];

const DIRECTORIES = ["pki", "pki/issued", "conf.d", "clients", "hooks", "storage", "var"].concat([
  "var/director",
  "var/filed",
  "var/storaged",
]);

/**
 * Makes the installation. Exit status 1 and no change when there is one already.
 * Throws BackupError `USAGE` for names and ports that cannot be.
 */
export async function runInit(options: InitOptions, print: Print): Promise<number> {
  const directory = path.resolve(options.directory);
  const host = options.name ?? hostname().split(".")[0]!;
  const portBase = options.portBase ?? 9101;
  checkValues(host, portBase);
  const there = [...CONFIG_FILES, "pki/ca.crt", "pki/ca.key"].filter((file) =>
    existsSync(path.join(directory, file)),
  );
  if (there.length > 0) {
    print(`${directory} already holds an installation (${there.join(", ")}); nothing was changed`);
    return EXIT.error;
  }
  makeDirectory(directory);
  for (const name of DIRECTORIES) makeDirectory(path.join(directory, name));
  await makePki(path.join(directory, "pki"), host, options.hosts ?? []);
  copyHooks(directory, print);
  for (const name of CONFIG_FILES) {
    writeOrKeep(
      path.join(directory, name),
      renderTemplate(name, { host, portBase, directory }),
      0o600,
      print,
    );
  }
  report(directory, host, portBase, print);
  return EXIT.ok;
}

function checkValues(host: string, portBase: number): void {
  if (!/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(host)) {
    const rule = "letters, digits, . _ -; at most 100";
    throw new BackupError(
      "USAGE",
      `"${host}" cannot be the start of names (${rule}); give another with --name`,
    );
  }
  if (!Number.isInteger(portBase) || portBase < 1 || portBase > 65533) {
    throw new BackupError("USAGE", `port base ${portBase} is not from 1 to 65533`);
  }
}

async function makePki(pki: string, host: string, hosts: readonly string[]): Promise<void> {
  const write = (name: string, content: string, mode: number): void => {
    if (!writeNew(path.join(pki, name), content, mode)) {
      throw new BackupError(
        "INIT_CONFLICT",
        `${path.join(pki, name)} exists; remove it or choose another directory`,
      );
    }
  };
  const ca = await issueCa(`${host} backup CA`);
  write("ca.key", ca.keyPem, 0o600);
  write("ca.crt", ca.certPem, 0o644);
  const all = [...new Set([hostname(), ...hosts])].filter((name) => /^[A-Za-z0-9.:_-]+$/.test(name));
  for (const [file, role, suffix] of PEERS) {
    const made = await issueAndRecord(pki, { role, name: `${host}-${suffix}`, hosts: all });
    write(`${file}.key`, made.keyPem, 0o600);
    write(`${file}.crt`, made.certPem, 0o644);
  }
  const ticket = issueTicketKeys();
  write("ticket.key", ticket.privatePem, 0o600);
  write("ticket.pub", ticket.publicPem, 0o644);
  write(
    "revoked.yaml",
    "# Certificates that are no longer accepted; read again whenever it changes.\n[]\n",
    0o644,
  );
}

/** Sample commands for jobs; copies keep the executable bit. */
export function copyHooks(directory: string, print: Print): void {
  const source = path.join(packageRoot(), "conf", "hooks");
  if (!existsSync(source)) return;
  for (const name of readdirSync(source)) {
    const target = path.join(directory, "hooks", name);
    if (existsSync(target)) print(`kept ${target}`);
    else copyFileSync(path.join(source, name), target);
  }
}

function writeOrKeep(file: string, content: string, mode: number, print: Print): void {
  if (!writeNew(file, content, mode)) print(`kept ${file}`);
}

function report(directory: string, host: string, portBase: number, print: Print): void {
  const file = (name: string): string => path.join(directory, name);
  print(`Basalt is set up in ${directory}`);
  print(`  director  ${host}-dir  127.0.0.1:${portBase}  ${file("director.yaml")}`);
  print(`  filed     ${host}-fd   127.0.0.1:${portBase + 1}  ${file("filed.yaml")}`);
  print(
    `  storaged  ${host}-sd   127.0.0.1:${portBase + 2}  ${file("storaged.yaml")}, volumes in ${file("storage")}`,
  );
  print(`  keys and certificates in ${file("pki")}; keep a copy of it away from this machine`);
  print("Start the daemons and a console:");
  for (const daemon of ["storaged", "filed", "director"])
    print(`  basalt ${daemon} -c ${file(`${daemon}.yaml`)} &`);
  print(`  basalt console -c ${file("console.yaml")}`);
  print(`Add a machine:  basalt client add NAME --address HOST -c ${file("director.yaml")} --write`);
}
