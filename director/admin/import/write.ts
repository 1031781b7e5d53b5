/**
 * Writes an installation: the CA and certificates (as `basalt init` makes them), the configuration of this machine,
 * and directories ready to be copied to the other ones. Everything but certificates is for its owner alone.
 */

import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { BackupError } from "../../../common/errors.js";
import { NAMED_CONSOLE_HOST, type Role } from "../../../common/tls/identity.js";
import { issueCa, issueTicketKeys } from "../../../common/tls/issue.js";
import { certificatesIn, hostsOf, issueAndRecord, makeDirectory, replaceFile, writeNew } from "../files.js";
import { copyHooks } from "../init.js";
import type { ImportPlan, Part } from "./plan.js";
import { directorFiles, type YamlFile, yamlText } from "./yaml.js";

/** A daemon or console of the installation, and where its files go. */
interface Peer {
  readonly role: Role;
  readonly part: Part;
  /** Relative; "" for this machine. */
  readonly place: string;
}

/** Files of an installation that an import makes. */
const MAIN = ["director.yaml", "storaged.yaml", "filed.yaml", "console.yaml", "pki/ca.key"];

/** What of an installation is in a directory. */
export function foundInstallation(directory: string): string[] {
  return MAIN.filter((name) => existsSync(path.join(directory, name)));
}

/** Where the parts of a plan go: those of this machine in front. */
export function peersOf({ director, fileds, hasOwnFiled, storageds, consoles }: ImportPlan): Peer[] {
  const peers: Peer[] = [{ role: "director", part: director, place: "" }];
  for (const [index, part] of storageds.entries()) {
    peers.push({ role: "storaged", part, place: index === 0 ? "" : path.join("storages", part.name) });
  }
  for (const [index, part] of fileds.entries()) {
    const isOwn = index === 0 && hasOwnFiled;
    peers.push({ role: "filed", part, place: isOwn ? "" : path.join("clients", part.name) });
  }
  for (const [index, part] of consoles.entries()) {
    peers.push({ role: "console", part, place: index === 0 ? "" : path.join("consoles", part.name) });
  }
  return peers;
}

const TITLES: Readonly<Record<Role, string>> = {
  director: "Director",
  storaged: "Storage daemon",
  filed: "File daemon",
  console: "Console",
};

function filesOf({ role, part }: Peer): YamlFile[] {
  const header = [
    `# ${TITLES[role]}, made by "basalt import" out of Bacula's configuration. import-report.txt says what became of`,
    `# every directive; comments such as "file:line" say where a resource comes from. Test with: basalt ${role} -c ${role}.yaml -t`,
  ];
  if (role !== "director") return [{ name: `${role}.yaml`, text: yamlText(header, part.resources) }];
  return directorFiles(header, part.resources, 'Include: ["@conf.d/*.yaml"]');
}

/** Every configuration file, relative to the installation. */
export function configurationFiles(plan: ImportPlan): YamlFile[] {
  return peersOf(plan).flatMap((peer) =>
    filesOf(peer).map(({ name, text }) => ({ name: path.join(peer.place, name), text })),
  );
}

/** Writes everything. A file that is there is replaced; keys and certificates that fit are kept. */
export async function writeInstallation(
  directory: string,
  plan: ImportPlan,
  hosts: readonly string[],
): Promise<void> {
  const peers = peersOf(plan);
  const own = ["pki", "pki/issued", "conf.d", "clients", "hooks", "var"];
  for (const name of ["", ...own]) makeDirectory(path.join(directory, name));
  removeEarlierParts(path.join(directory, "conf.d"));
  const pki = path.join(directory, "pki");
  await makeAuthority(pki, plan.director.name);
  for (const peer of peers) {
    const place = path.join(directory, peer.place);
    makeDirectory(path.join(place, "pki"));
    if (peer.role !== "console") makeDirectory(path.join(place, "var", peer.role));
    if (peer.role === "filed") makeDirectory(path.join(place, "hooks"));
    await makeCertificate(pki, path.join(place, "pki"), { peer, hosts });
    if (peer.place !== "") copyShared(pki, path.join(place, "pki"), peer.role);
  }
  copyHooks(directory, () => undefined);
  for (const { name, text } of configurationFiles(plan)) put(path.join(directory, name), text);
}

function put(file: string, text: string): void {
  if (!writeNew(file, text, 0o600)) replaceFile(file, text, 0o600);
}

/** Files in conf.d that an earlier import made. */
function removeEarlierParts(directory: string): void {
  for (const name of readdirSync(directory)) {
    if (/^imported-[a-z]+-\d{3,}\.yaml$/.test(name)) rmSync(path.join(directory, name));
  }
}

/** CA, key of tickets and list of withdrawn certificates; what is there stays. @throws BackupError INIT_CONFLICT */
export async function makeAuthority(pki: string, name: string): Promise<void> {
  const file = (each: string): string => path.join(pki, each);
  if (!existsSync(file("ca.key"))) {
    const ca = await issueCa(`${name} backup CA`);
    writeNew(file("ca.key"), ca.keyPem, 0o600);
    if (!writeNew(file("ca.crt"), ca.certPem, 0o644)) {
      throw new BackupError(
        "INIT_CONFLICT",
        `${file("ca.crt")} exists without its key; choose another directory`,
      );
    }
  }
  if (!existsSync(file("ticket.key"))) {
    const ticket = issueTicketKeys();
    writeNew(file("ticket.key"), ticket.privatePem, 0o600);
    replaceFile(file("ticket.pub"), ticket.publicPem, 0o644);
  }
  const text = "# Certificates that are no longer accepted; read again whenever it changes.\n[]\n";
  writeNew(file("revoked.yaml"), text, 0o644);
}

/** A certificate of that name, role and mark that is there already stays. */
async function makeCertificate(
  authority: string,
  pki: string,
  { peer, hosts }: { peer: Peer; hosts: readonly string[] },
): Promise<void> {
  const { role, part } = peer;
  const wanted = path.join(pki, `${role}.crt`);
  const known = certificatesIn(pki).find(({ file }) => file === wanted);
  const isSame = known?.identity.role === role && known.identity.name === part.name;
  const isNamed = part.isNamed === true;
  if (isSame && hostsOf(known.certificate).includes(NAMED_CONSOLE_HOST) === isNamed) return;
  const own = peer.place === "" ? hosts : [];
  const mark = isNamed ? [NAMED_CONSOLE_HOST] : [];
  const all = [...new Set([...own, ...part.hosts, ...mark])].filter((host) =>
    /^[A-Za-z0-9.:_-]+$/.test(host),
  );
  const made = await issueAndRecord(authority, { role, name: part.name, hosts: all });
  for (const [name, text, mode] of [
    [`${role}.key`, made.keyPem, 0o600],
    [`${role}.crt`, made.certPem, 0o644],
  ] as const) {
    const file = path.join(pki, name);
    if (!writeNew(file, text, mode)) replaceFile(file, text, mode);
  }
}

/** What every peer needs of the installation's keys: never a private one. */
function copyShared(authority: string, pki: string, role: Role): void {
  const names = role === "console" ? ["ca.crt"] : ["ca.crt", "ticket.pub", "revoked.yaml"];
  for (const name of names) {
    const text = readFileSync(path.join(authority, name), "utf8");
    const file = path.join(pki, name);
    if (!writeNew(file, text, 0o644)) replaceFile(file, text, 0o644);
  }
}
