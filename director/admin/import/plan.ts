/** What an import will make: configurations, certificates, and directories for the other machines. */

import {
  mapConsoleConfig,
  mapDirectorConfig,
  mapFiledConfig,
  mapStoragedConfig,
} from "../../../common/bacula/map/configuration.js";
import { planDevices } from "../../../common/bacula/map/daemons.js";
import type { CatalogCopy } from "../../../common/bacula/map/job.js";
import { Mapper } from "../../../common/bacula/map/mapper.js";
import { Names } from "../../../common/bacula/map/names.js";
import { type Build, type Settled, settle } from "../../../common/bacula/map/settle.js";
import type { Finding, MappedResource } from "../../../common/bacula/map/types.js";
import type { BaculaResource } from "../../../common/bacula/syntax.js";
import { givenText, named, textOf } from "../../../common/bacula/values.js";
import { ConfigError, foldName } from "../../../common/config/diagnostics.js";
import type { Role } from "../../../common/tls/identity.js";
import { type HookCommand, hookCommands, hookDirectories, refusedCommands } from "./hooks.js";
import type { Originals } from "./read.js";

/** The daemons' own loaders, which the mapping is tried with. */
export type Builds = Readonly<Record<Role, Build>>;

/** One configuration with the name in its certificate. */
export interface Part {
  readonly name: string;
  readonly resources: readonly MappedResource[];
  /** Names and addresses under which it is reached. */
  readonly hosts: readonly string[];
  /** A console with a Console resource: without it it may do nothing, and does not become the administrator's. */
  readonly isNamed?: boolean;
}

export interface ImportPlan {
  readonly director: Part;
  /** The first one belongs to this machine when its file was given. */
  readonly fileds: readonly Part[];
  readonly hasOwnFiled: boolean;
  readonly storageds: readonly Part[];
  /** The first one is the administrator's. */
  readonly consoles: readonly Part[];
  readonly findings: readonly Finding[];
  readonly carried: number;
  readonly total: number;
}

export interface PlanOptions {
  readonly builds: Builds;
  readonly deduplicate: boolean;
  readonly catalogCopy: CatalogCopy;
}

/** @throws ConfigError when a part cannot be made at all */
export function planImport(
  originals: Originals,
  { builds, deduplicate, catalogCopy }: PlanOptions,
): ImportPlan {
  const everything = [
    originals.director,
    originals.console,
    ...originals.storageds,
    ...originals.fileds,
  ].flat();
  const names = new Names(everything);
  const planner = new Planner(originals, names, builds);
  const storageds = originals.storageds
    .map((resources) => planner.storaged(resources))
    .filter(({ resources }) => resources.length > 0);
  const director = planner.director({ deduplicate, catalogCopy });
  const fileds = planner.fileds(director);
  const consoles = planner.consoles(director);
  return {
    director,
    fileds: fileds.parts,
    hasOwnFiled: fileds.hasOwn,
    storageds,
    consoles,
    findings: [...planner.findings, ...refusedCommands(planner.commands)],
    carried: planner.carried,
    total: planner.total,
  };
}

class Planner {
  readonly findings: Finding[] = [];
  carried = 0;
  total = 0;
  /** What jobs run on clients. */
  readonly commands: readonly HookCommand[];
  readonly #originals: Originals;
  readonly #names: Names;
  readonly #builds: Builds;

  constructor(originals: Originals, names: Names, builds: Builds) {
    this.commands = hookCommands(originals.director, names);
    this.#originals = originals;
    this.#names = names;
    this.#builds = builds;
  }

  storaged(resources: readonly BaculaResource[]): Part {
    const file = "storaged.yaml";
    const settled = this.#settle({ file, resources, map: mapStoragedConfig, build: this.#builds.storaged });
    const { isBareos } = this.#originals;
    const probe = new Mapper(this.#names, new Map(), isBareos);
    for (const [from, to] of planDevices(resources, probe).names) this.#devices.set(from, to);
    return { name: nameOf(settled, "Storage"), resources: settled, hosts: [] };
  }

  readonly #devices = new Map<string, string>();

  director(given: Pick<PlanOptions, "deduplicate" | "catalogCopy">): Part {
    const options = { ...given, devices: this.#devices };
    const settled = this.#settle({
      file: "director.yaml",
      resources: this.#originals.director,
      map: (mapper, resources) => mapDirectorConfig(mapper, resources, options),
      build: this.#builds.director,
    });
    const hosts = settled.filter(({ kind }) => kind === "Storage").map((each) => entryOf(each, "Address"));
    return {
      name: nameOf(settled, "Director"),
      resources: settled,
      hosts: hosts.filter((each) => each !== ""),
    };
  }

  /** The file daemons whose files were given, and one for each other Client. */
  fileds(director: Part): { parts: Part[]; hasOwn: boolean } {
    const clients = director.resources.filter(({ kind }) => kind === "Client");
    const parts: Part[] = [];
    for (const resources of this.#originals.fileds) {
      const own = resources.find((each) => ["filedaemon", "client"].includes(foldName(each.kind)));
      const name = this.#names.of("Client", givenText(own?.directives ?? [], "Name") ?? "");
      const client = clients.find((each) => entryOf(each, "Name") === name);
      if (client === undefined && own !== undefined) this.#withoutClient(own, name);
      const settled = this.#filed(resources, hookDirectories(this.commands, name));
      if (settled.length === 0) continue;
      parts.push({
        name,
        resources: settled,
        hosts: client === undefined ? [] : [entryOf(client, "Address")],
      });
    }
    const hasOwn = parts.length > 0;
    for (const client of clients) {
      const name = entryOf(client, "Name");
      if (parts.some((part) => part.name === name)) continue;
      const made = [
        synthetic("FileDaemon", { Name: name, FDPort: entryOf(client, "Port") || "9102" }),
        synthetic("Director", { Name: director.name }),
      ];
      const resources = this.#filed(made, hookDirectories(this.commands, name), false);
      if (resources.length > 0) parts.push({ name, resources, hosts: [entryOf(client, "Address")] });
    }
    return { parts, hasOwn };
  }

  #withoutClient(own: BaculaResource, name: string): void {
    const text = `the director has no Client "${name}", so it does not know this file daemon; name both alike`;
    this.findings.push({ outcome: "wrong", at: own.at, what: `FileDaemon "${name}"`, text });
  }

  #filed(
    resources: readonly BaculaResource[],
    hooks: readonly string[],
    counts = true,
  ): readonly MappedResource[] {
    const map = (mapper: Mapper, all: readonly BaculaResource[]) => mapFiledConfig(mapper, all, hooks);
    return this.#settle({ file: "filed.yaml", resources, map, build: this.#builds.filed }, counts);
  }

  /** The administrator's console, and one for each Console of the director's file. */
  consoles(director: Part): Part[] {
    const own = this.#originals.console;
    const program = own.find((each) => foldName(each.kind) === "console");
    const known = director.resources
      .filter(({ kind }) => kind === "Console")
      .map((each) => entryOf(each, "Name"));
    const programName = program === undefined ? undefined : givenText(program.directives, "Name");
    const name =
      programName === undefined
        ? `${director.name.replace(/-dir$/, "")}-console`
        : this.#names.of("Console", programName);
    if (program !== undefined && !known.includes(name)) {
      const text = "the director's file has no Console of that name: this one may do everything";
      this.findings.push({ outcome: "differs", at: program.at, what: `Console "${name}"`, text });
    }
    const first = director.resources.find(({ kind }) => kind === "Director");
    const address = entryOf(first, "Address");
    const made = synthetic("Director", {
      Name: director.name,
      Address: address === "0.0.0.0" || address === "" ? "localhost" : address,
      Port: entryOf(first, "Port") || "9101",
    });
    const given = own.some((each) => foldName(each.kind) === "director") ? own : [made, ...own];
    const ownSettled = this.#console(given, director.name);
    const administrators = ownSettled.length > 0 ? ownSettled : this.#console([made], director.name, false);
    const parts: Part[] = [{ name, resources: administrators, hosts: [], isNamed: known.includes(name) }];
    for (const other of known) {
      if (other === name) continue;
      const resources = this.#console([made, synthetic("Console", { Name: other })], director.name, false);
      parts.push({ name: other, resources, hosts: [], isNamed: true });
    }
    return parts;
  }

  /** A console knows the director by its certificate; Bacula does not compare the name. */
  #console(resources: readonly BaculaResource[], director: string, counts = true): readonly MappedResource[] {
    const directors = resources.filter((each) => foldName(each.kind) === "director");
    const [only] = directors;
    const there = only === undefined ? undefined : named(only.directives, "Name")[0];
    if (counts && directors.length === 1 && there !== undefined && textOf(there).text !== director) {
      const text = `the director is called "${director}"; put that name here, or the console refuses its certificate`;
      this.findings.push({ outcome: "wrong", at: there.at, what: `Director "${textOf(there).text}"`, text });
    }
    const map = (mapper: Mapper, all: readonly BaculaResource[]) => mapConsoleConfig(mapper, all, "console");
    return this.#settle({ file: "console.yaml", resources, map, build: this.#builds.console }, counts);
  }

  #settle(
    options: Pick<Parameters<typeof settle>[0], "file" | "resources" | "map" | "build">,
    counts = true,
  ): readonly MappedResource[] {
    const { isBareos } = this.#originals;
    const settled: Settled = settle({ ...options, names: this.#names, isBareos });
    if (settled.errors.length > 0) this.#notMade(options, settled);
    if (counts) {
      this.findings.push(...settled.findings);
      this.carried += settled.carried;
      this.total += settled.total;
    }
    return settled.errors.length > 0 ? [] : settled.resources;
  }

  /** Without a director there is no installation; without another daemon there is one that lacks it. */
  #notMade(
    { file, resources }: { file: string; resources: readonly BaculaResource[] },
    { errors }: Settled,
  ): void {
    const at = resources[0]?.at;
    if (file === "director.yaml" || at === undefined) throw new ConfigError(file, errors);
    const text = `nothing usable remains, so there is no ${file}: ${errors.map(({ message }) => message).join("; ")}`;
    this.findings.push({ outcome: "unsupported", at, what: file, text });
  }
}

function nameOf(resources: readonly MappedResource[], kind: string): string {
  return entryOf(
    resources.find((each) => each.kind === kind),
    "Name",
  );
}

/** The text of an entry; "" when it has none. */
export function entryOf(resource: MappedResource | undefined, key: string): string {
  const value = resource?.node.entries.find((entry) => entry.key === key)?.value;
  return value?.kind === "scalar" ? value.text : "";
}

/** A resource that no file holds. */
function synthetic(kind: string, values: Readonly<Record<string, string>>): BaculaResource {
  const at = { file: "basalt import", line: 0, column: 0 };
  const directives = Object.entries(values).map(([name, text]) => ({
    name,
    at,
    words: [{ kind: "quoted" as const, text, at }],
    comments: [],
  }));
  return { kind, at, directives, comments: [] };
}
