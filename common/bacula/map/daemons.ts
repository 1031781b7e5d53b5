/** The files of the storage daemon, the file daemon and the console program. */

import path from "node:path";
import { foldName } from "../../config/diagnostics.js";
import type { BaculaDirective, BaculaResource } from "../syntax.js";
import { givenText, isYes, listOf, named, textOf } from "../values.js";
import { listenEverywhere, listening, ownWorkingDirectory, tlsFiles } from "./director.js";
import { type BlockBuilder, LeftOut, type Mapper } from "./mapper.js";
import { line, name, oneOfSeveral, PASSWORD, text, time, withoutEffect } from "./rules.js";
import type { Rule, Rules } from "./types.js";

/** What both daemons say about tickets and certificates. */
function finishDaemon(block: BlockBuilder, peer: "filed" | "storaged"): void {
  const { workingDirectory, pki } = block.mapper.places;
  listenEverywhere(block);
  if (!block.has("WorkingDirectory")) block.put("WorkingDirectory", workingDirectory(peer));
  tlsFiles(block, peer);
  block.put("TicketPublicKeyFile", `${pki}/ticket.pub`);
  block.put("RevokedFile", `${pki}/revoked.yaml`);
}

const STORAGED_RULES: Rules = {
  ...listening("sd"),
  name: name("Storage", "Name"),
  workingdirectory: ownWorkingDirectory("storaged"),
  heartbeatinterval: withoutEffect("the director keeps connections alive"),
};

/** The daemon's own resource: Storage in its file. */
export function mapStoraged(mapper: Mapper, resource: BaculaResource): void {
  mapper.resource(resource, "Storage", STORAGED_RULES, (block) => finishDaemon(block, "storaged"));
}

const FILED_RULES: Rules = {
  ...listening("fd"),
  name: name("Client", "Name"),
  workingdirectory: ownWorkingDirectory("filed"),
  heartbeatinterval: withoutEffect("the director keeps connections alive"),
  allowedscriptdir: oneOfSeveral("HookDirectories"),
  maximumbandwidthperjob: line("MaximumBandwidthPerJob"),
};

/** `hookDirectories`: where commands that jobs run on this client lie. */
export function mapFiled(mapper: Mapper, resource: BaculaResource, hookDirectories: readonly string[]): void {
  mapper.resource(resource, "FileDaemon", FILED_RULES, (block) => {
    finishDaemon(block, "filed");
    if (block.has("HookDirectories")) return;
    const items = [...mapper.places.hooks, ...hookDirectories].map((each) => ({
      kind: "scalar" as const,
      text: each,
      at: block.at,
    }));
    block.put("HookDirectories", { kind: "list", items, at: block.at }, HOOKS);
  });
}

const HOOKS = "commands of jobs are run from these directories only";

const monitor: Rule = (directive) => {
  if (!isYes(textOf(directive).text)) return;
  throw new LeftOut(
    "replaced",
    "a monitor asks the director, with a Console that may say status; not the daemon",
  );
};

const ALLOWED_RULES: Rules = {
  name: name("Director", "Name"),
  password: PASSWORD,
  monitor,
};

/** Which director may give orders. */
export function mapAllowedDirector(mapper: Mapper, resource: BaculaResource): void {
  mapper.resource(resource, "Director", ALLOWED_RULES);
}

const CONSOLE_DIRECTOR_RULES: Rules = {
  name: name("Director", "Name"),
  dirport: line("Port"),
  port: line("Port"),
  address: text("Address"),
  dirconnecttimeout: time("ConnectTimeout"),
  password: PASSWORD,
};

/** A Director of bconsole.conf; `peer` names the certificate's files. */
export function mapConsoleDirector(mapper: Mapper, resource: BaculaResource, peer: string): void {
  mapper.resource(resource, "Director", CONSOLE_DIRECTOR_RULES, (block) => tlsFiles(block, peer));
}

const CONSOLE_PROGRAM_RULES: Rules = { name: name("Console", "Name"), password: PASSWORD };

/** The Console of bconsole.conf. */
export function mapConsoleProgram(mapper: Mapper, resource: BaculaResource): void {
  mapper.resource(resource, "Console", CONSOLE_PROGRAM_RULES);
}

const TAPES = "tapes are not supported: this Device is left out, its volumes cannot be read or written";

const TAPE = /^\/dev\/(n?st|sr|sg|tape)/;

const deviceType: Rule = (directive, block) => {
  const value = textOf(directive).text.toLowerCase();
  if (value === "tape" || value === "dvd" || value === "vtape") throw new LeftOut("unsupported", TAPES);
  if (value === "file") block.say("without effect", directive, "volumes are files in a directory");
  else block.say("unsupported", directive, `there are no devices of type ${value}: volumes are plain files`);
};

const archiveDevice: Rule = (directive, block) => {
  const value = textOf(directive).text;
  if (TAPE.test(value)) throw new LeftOut("unsupported", TAPES);
  block.set("ArchiveDevice", value, directive);
};

/** An empty one says in Bacula that the drives need no command. */
const changerCommand: Rule = (directive, block) => {
  const { text: value } = textOf(directive);
  if (value.trim() === "")
    block.say("without effect", directive, "every drive reaches every volume by itself");
  else block.set("ChangerCommand", value, directive);
};

const DEVICE_RULES: Rules = {
  name: name("Device", "Name"),
  mediatype: text("MediaType"),
  archivedevice: archiveDevice,
  devicetype: deviceType,
  maximumvolumesize: line("MaximumVolumeSize"),
  maximumfilesize: withoutEffect("volumes have no file marks"),
  driveindex: text("DriveIndex"),
  autochanger: text("Autochanger"),
  changercommand: changerCommand,
  changerdevice: text("ChangerDevice"),
  maximumchangerwait: time("MaximumChangerWait"),
  count: withoutEffect("one Device takes several jobs at the same time: MaximumConcurrentJobs"),
  labelmedia: text("LabelMedia"),
  maximumconcurrentjobs: text("MaximumConcurrentJobs"),
  readonly: text("ReadOnly"),
};

/** Devices and autochangers of the storage daemon's file as they are here. */
export interface DevicePlan {
  /** Resources to be mapped, with the name each gets and the jobs that its changer's drives would take. */
  readonly devices: readonly {
    readonly resource: BaculaResource;
    readonly name: string;
    readonly jobs: number;
  }[];
  /** Names here by names there. */
  readonly names: ReadonlyMap<string, string>;
  /** Drives that another Device stands for, and where. */
  readonly merged: readonly { readonly resource: BaculaResource; readonly into: string }[];
  /** Autochangers that stay, with the names of their drives here. */
  readonly changers: ReadonlyMap<BaculaResource, readonly string[]>;
}

/**
 * An autochanger stays one, with its drives. Where `Count` (Bareos) makes many of a Device, those that lie over one
 * directory become a single Device with the changer's name instead: it takes all those jobs without drives.
 */
export function planDevices(resources: readonly BaculaResource[], mapper: Mapper): DevicePlan {
  const ofKind = (kind: string) => resources.filter((each) => foldName(each.kind) === kind);
  const nameOf = (resource: BaculaResource) =>
    mapper.names.of("Device", givenText(resource.directives, "Name") ?? "");
  const devices = new Map(ofKind("device").map((each) => [nameOf(each), each]));
  const isTape = (each: BaculaResource): boolean =>
    TAPE.test(givenText(each.directives, "ArchiveDevice") ?? "");
  const names = new Map<string, string>();
  const plan: { resource: BaculaResource; name: string; jobs: number }[] = [];
  const merged: { resource: BaculaResource; into: string }[] = [];
  const done = new Set<BaculaResource>();
  const changers = new Map<BaculaResource, readonly string[]>();
  for (const changer of ofKind("autochanger")) {
    const drives = named(changer.directives, "Device")
      .flatMap((directive) => listOf(directive.words))
      .flatMap((each) => devices.get(mapper.names.of("Device", each)) ?? []);
    if (!drives.some((each) => countOf(each) > 1)) {
      changers.set(changer, drives.filter((each) => !isTape(each)).map(nameOf));
      names.set(nameOf(changer), nameOf(changer));
      continue;
    }
    const first = drives.find((each) => !done.has(each));
    if (first === undefined) continue;
    const directory = directoryOf(first);
    const together = drives.filter((each) => directoryOf(each) === directory && !done.has(each));
    const jobs = together.reduce((sum, each) => sum + jobsOf(each), 0);
    const name = nameOf(changer);
    plan.push({ resource: first, name, jobs });
    names.set(name, name);
    for (const each of together) {
      done.add(each);
      names.set(nameOf(each), name);
      if (each !== first) merged.push({ resource: each, into: name });
    }
  }
  for (const [name, resource] of devices) {
    if (!done.has(resource)) plan.push({ resource, name, jobs: 0 });
    if (!names.has(name) && !isTape(resource)) names.set(name, name);
  }
  return { devices: plan, names, merged, changers };
}

function directoryOf(resource: BaculaResource): string {
  return path.normalize(givenText(resource.directives, "ArchiveDevice") ?? "").replace(/\/+$/, "");
}

function countOf(resource: BaculaResource): number {
  return Number(givenText(resource.directives, "Count") ?? "1") || 1;
}

/** Several jobs a drive are usual where nothing is said. */
function jobsOf(resource: BaculaResource): number {
  return countOf(resource) * (Number(givenText(resource.directives, "MaximumConcurrentJobs") ?? "5") || 5);
}

/** One Device; Bacula does not label volumes by itself unless it is told to. */
export function mapDevice(
  mapper: Mapper,
  { resource, name: wanted, jobs }: DevicePlan["devices"][number],
): void {
  const own = givenText(resource.directives, "Name");
  const named: Rule = (directive: BaculaDirective, block: BlockBuilder) => {
    if (wanted !== own)
      block.say("differs", directive, `it stands for the drives of the autochanger "${wanted}"`);
    block.set("Name", wanted, directive);
  };
  const several: Rule = (directive, block) => block.set("MaximumConcurrentJobs", String(jobs), directive);
  const rules: Rules = {
    ...DEVICE_RULES,
    name: named,
    ...(jobs > 0 ? { maximumconcurrentjobs: several } : {}),
  };
  mapper.resource(resource, "Device", rules, (block) => {
    if (!block.has("LabelMedia")) block.put("LabelMedia", "no", "Bacula's default");
    if (jobs > 0 && !block.has("MaximumConcurrentJobs")) block.put("MaximumConcurrentJobs", String(jobs));
  });
}

/** An Autochanger with its drives; one without any that can be used is left out. */
export function mapChanger(mapper: Mapper, resource: BaculaResource, drives: readonly string[]): void {
  if (drives.length === 0) {
    mapper.leaveOut(resource, "unsupported", TAPES.replace("Device", "Autochanger"));
    return;
  }
  const device: Rule = (directive, block) => block.add("Device", drives, directive);
  mapper.resource(resource, "Autochanger", {
    name: name("Device", "Name"),
    device,
    changercommand: changerCommand,
    changerdevice: text("ChangerDevice"),
    maximumchangerwait: time("MaximumChangerWait"),
  });
}
