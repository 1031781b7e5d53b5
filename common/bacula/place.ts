/** Where a daemon that is configured in Bacula's own language keeps what is its own. */

import path from "node:path";
import { foldName } from "../config/diagnostics.js";
import type { Component } from "./layout.js";
import type { Names } from "./map/names.js";
import { INSTALLATION, type Places } from "./map/types.js";
import type { BaculaResource } from "./syntax.js";
import { givenText } from "./values.js";

/** What the daemon's own resource says. */
export interface Own {
  readonly name: string;
  /** `WORKINGDIRECTORY/basalt-ROLE-NAME`: daemons of several users may share one working directory. "" for a console. */
  readonly stateDirectory: string;
  readonly pidDirectory: string | undefined;
}

const OWN_KINDS: Readonly<Record<Component, readonly string[]>> = {
  director: ["director"],
  storaged: ["storage"],
  filed: ["filedaemon", "client"],
  console: ["console"],
};

/** The own resource of a daemon or console; one that is missing is found out later, by the loader. */
export function ownResource(
  component: Component,
  resources: readonly BaculaResource[],
  { isBareos, names }: { isBareos: boolean; names: Names },
): Own {
  const own = resources.find((each) => OWN_KINDS[component].includes(foldName(each.kind)));
  const text = (name: string): string | undefined => givenText(own?.directives ?? [], name);
  const given = text("Name") ?? "";
  if (component === "console") return { name: given, stateDirectory: "", pidDirectory: undefined };
  const kind = component === "director" ? "Director" : component === "filed" ? "Client" : "Storage";
  const name = names.of(kind, given);
  const working = text("WorkingDirectory") ?? (isBareos ? "/var/lib/bareos" : "/var/lib/bacula");
  const stateDirectory = path.join(path.resolve(working), `basalt-${component}-${name}`);
  return { name, stateDirectory, pidDirectory: text("PidDirectory") };
}

/** Programs without a path are looked for where a shell would. */
const ANY_COMMAND = ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin", "/"];

/** As in Bacula a director may have any command run, unless the file says which (Allowed Script Dir). */
export function placesOf(component: Component, { stateDirectory }: Own): Places {
  if (component === "console") return { ...INSTALLATION, takesPasswords: true };
  return {
    workingDirectory: () => stateDirectory,
    pki: path.join(stateDirectory, "pki"),
    hooks: ANY_COMMAND,
    takesPasswords: true,
  };
}
