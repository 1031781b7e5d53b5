/**
 * `basalt client add NAME --console`: the certificate of a console with rights of its own. It carries a mark: without
 * a Console resource of its name it may do nothing, so that taking the resource away takes the rights away.
 */

import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { BackupError, EXIT } from "../../common/errors.js";
import { baculaTime } from "../../common/time.js";
import { NAMED_CONSOLE_HOST } from "../../common/tls/identity.js";
import { loadDirectorConfig } from "../config/load.js";
import { issueAndRecord, makeDirectory, type Print, writeNew } from "./files.js";

export interface AddConsoleOptions {
  readonly configFile: string;
  readonly name: string;
  /** Where the console reaches the director. (Default: the address that the director listens on) */
  readonly address?: string | undefined;
  /** Put a Console resource that grants next to nothing into conf.d instead of printing it. */
  readonly write?: boolean | undefined;
}

/** Makes the bundle `consoles/NAME`. Throws BackupError `USAGE` when the name is taken or can be none. */
export async function addConsole(options: AddConsoleOptions, print: Print): Promise<number> {
  const { name } = options;
  if (!/^[A-Za-z0-9][A-Za-z0-9._@+-]{0,126}$/.test(name))
    throw new BackupError("USAGE", `"${name}" cannot be a console's name`);
  const config = loadDirectorConfig(options.configFile);
  const { director } = config;
  const directory = path.dirname(config.files[0]!);
  const bundle = path.join(directory, "consoles", name);
  if (existsSync(bundle))
    throw new BackupError("USAGE", `${bundle} exists; "basalt client renew ${name}" makes a new certificate`);
  const address = options.address ?? director.address;
  if (!/^[A-Za-z0-9_[][A-Za-z0-9_.:[\]%-]*$/.test(address))
    throw new BackupError("USAGE", `"${address}" is not a host name or IP address`);
  const pki = path.dirname(director.tls.caFile);
  const made = await issueAndRecord(pki, { role: "console", name, hosts: [NAMED_CONSOLE_HOST] });
  makeDirectory(path.join(bundle, "pki"));
  const text = [
    "Director:",
    `  Name: ${JSON.stringify(director.name)}`,
    `  Address: ${JSON.stringify(address)}`,
    `  Port: ${director.port}`,
    "  TLS: {CaFile: pki/ca.crt, CertFile: pki/console.crt, KeyFile: pki/console.key}",
    "Console:",
    `  Name: ${JSON.stringify(name)}`,
  ];
  writeNew(path.join(bundle, "console.yaml"), `${text.join("\n")}\n`, 0o600);
  writeNew(path.join(bundle, "pki/ca.crt"), readFileSync(director.tls.caFile, "utf8"), 0o644);
  writeNew(path.join(bundle, "pki/console.crt"), made.certPem, 0o644);
  writeNew(path.join(bundle, "pki/console.key"), made.keyPem, 0o600);
  print(`made ${bundle}: copy it to where ${name} works, then: basalt console -c console.yaml`);
  print(`certificate of ${name}: SHA-256 ${made.fingerprint}, until ${baculaTime(made.notAfterMs)}`);
  if (!config.consoles.has(name)) giveResource(options, directory, print);
  return EXIT.ok;
}

/** A resource to begin with: it may ask how things are, about no job yet. */
function giveResource({ name, write }: AddConsoleOptions, directory: string, print: Print): void {
  const lines = [
    "Console:",
    `  - Name: ${JSON.stringify(name)}`,
    "    CommandACL: [status, list, messages, wait, help]",
    "    CatalogACL: [MyCatalog]",
    "    JobACL: []                      # names of jobs; nothing is seen of others",
    "    ClientACL: []",
    "    # StorageACL, PoolACL, FileSetACL, ScheduleACL, WhereACL, DirectoryACL, UserIdACL: nothing when left out",
  ];
  if (write !== true) {
    print("it may do nothing before the director's configuration has its resource, for example:");
    for (const line of lines) print(line);
    return;
  }
  const file = path.join(directory, "conf.d", `console-${name}.yaml`);
  makeDirectory(path.dirname(file));
  if (!writeNew(file, `${lines.join("\n")}\n`, 0o600))
    throw new BackupError("USAGE", `${file} exists; it was kept`);
  print(`wrote ${file}; set what it may do, then say "reload" on a console`);
}
