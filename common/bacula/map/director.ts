/** The resources of the director's file that say who there is: Director, Client, Storage, Pool, Catalog. */

import { foldName } from "../../config/diagnostics.js";
import type { BaculaDirective, BaculaResource } from "../syntax.js";
import { givenText, isYes, textOf } from "../values.js";
import type { BlockBuilder, Mapper } from "./mapper.js";
import {
  firstName,
  line,
  name,
  PASSWORD,
  text,
  textValue,
  time,
  unsupported,
  withoutEffect,
} from "./rules.js";
import type { Rule, Rules } from "./types.js";

/** `DirAddresses = { ip = { addr = …; port = … } }`: the first one counts. */
export function addresses(directive: BaculaDirective, block: BlockBuilder): void {
  const all = directive.block ?? [];
  const [first, ...others] = all;
  block.mapper.total += all.reduce((sum, { block: inner }) => sum + 1 + (inner?.length ?? 0), 0);
  if (first?.block === undefined) {
    block.say("wrong", directive, "it holds no address");
    return;
  }
  block.mapper.carried += all.reduce((sum, { block: inner }) => sum + 1 + (inner?.length ?? 0), 0);
  const address = givenText(first.block, "addr");
  const port = givenText(first.block, "port");
  if (others.length > 0) {
    block.say("differs", directive, `the daemon listens on one address, the first one of ${all.length}`);
  }
  if (address !== undefined) block.set("Address", address === "*" ? "0.0.0.0" : address, directive);
  if (port !== undefined && !block.has("Port")) block.put("Port", port);
}

/** Where a daemon listens, of whichever kind; `prefix` is `dir`, `fd` or `sd`. */
export function listening(prefix: string): Rules {
  return {
    [`${prefix}port`]: line("Port"),
    port: line("Port"),
    [`${prefix}address`]: text("Address"),
    address: text("Address"),
    [`${prefix}addresses`]: addresses,
    addresses,
    [`${prefix}sourceaddress`]: unsupported("the system chooses the address that connections start from"),
    sourceaddress: unsupported("the system chooses the address that connections start from"),
  };
}

/** Bacula's daemons listen everywhere unless they are told otherwise. */
export function listenEverywhere(block: BlockBuilder): void {
  if (!block.has("Address")) block.put("Address", "0.0.0.0", "as in Bacula, which listens everywhere");
}

/** Each daemon has a directory of its own. */
export function ownWorkingDirectory(role: "director" | "filed" | "storaged"): Rule {
  return (directive, block) => {
    const where = block.mapper.places.workingDirectory(role);
    block.say("differs", directive, `Basalt's own databases are in ${where}; Bacula's stay where they are`);
    block.set("WorkingDirectory", where, directive);
  };
}

/** `TLS: {CaFile: …}` for the files of one peer. */
export function tlsFiles(block: BlockBuilder, peer: string): void {
  const at = block.at;
  const { pki } = block.mapper.places;
  const entry = (key: string, file: string) => ({
    key,
    at,
    value: { kind: "scalar" as const, text: `${pki}/${file}`, at },
  });
  const entries = [
    entry("CaFile", "ca.crt"),
    entry("CertFile", `${peer}.crt`),
    entry("KeyFile", `${peer}.key`),
  ];
  block.put("TLS", { kind: "map", entries, at });
}

const DIRECTOR_RULES: Rules = {
  ...listening("dir"),
  name: name("Director", "Name"),
  messages: name("Messages"),
  workingdirectory: ownWorkingDirectory("director"),
  password: PASSWORD,
  heartbeatinterval: time("HeartbeatInterval"),
  fdconnecttimeout: time("FdConnectTimeout"),
  sdconnecttimeout: time("SdConnectTimeout"),
  statisticsretention: time("StatisticsRetention"),
};

export function mapDirector(mapper: Mapper, resource: BaculaResource): void {
  mapper.resource(resource, "Director", DIRECTOR_RULES, (block) => {
    listenEverywhere(block);
    const { workingDirectory, pki } = mapper.places;
    if (!block.has("WorkingDirectory")) block.put("WorkingDirectory", workingDirectory("director"));
    block.put("TicketKeyFile", `${pki}/ticket.key`);
    block.put("RevokedFile", `${pki}/revoked.yaml`);
    tlsFiles(block, "director");
  });
}

const passive: Rule = (directive, block) => {
  if (isYes(textOf(directive).text)) block.set("Dial", "storage", directive);
  else
    block.say(
      "differs",
      directive,
      "the storage daemon opens data connections; Dial: client turns that round",
    );
};

const CLIENT_RULES: Rules = {
  name: name("Client", "Name"),
  address: text("Address"),
  fdaddress: text("Address"),
  fdport: line("Port"),
  port: line("Port"),
  password: PASSWORD,
  catalog: text("Catalog"),
  fileretention: time("FileRetention"),
  jobretention: time("JobRetention"),
  maximumbandwidthperjob: line("MaximumBandwidth"),
  maximumbandwidth: line("MaximumBandwidth"),
  heartbeatinterval: withoutEffect("the director keeps connections alive: HeartbeatInterval of the Director"),
  sdcallsclient: text("SdCallsClient"),
  passive,
};

export function mapClient(mapper: Mapper, resource: BaculaResource): void {
  mapper.resource(resource, "Client", CLIENT_RULES, (block) => {
    if (mapper.isBareos && !block.has("AutoPrune")) block.put("AutoPrune", "no", "Bareos' default");
  });
}

const ONE_DEVICE = "one Device of the storage daemon takes all jobs here";

/** Yes, or the name of the Storage that stands for the whole changer. */
const autochanger: Rule = (directive, block) => {
  const value = textValue(directive, block);
  if (value !== undefined) block.set("Autochanger", isNo(value) ? "no" : "yes", directive);
};

const isNo = (value: string): boolean => /^(no|false|0)$/i.test(value.trim());

/** `devices`: names of the storage daemon's devices here, by their name in Bacula's file. */
function storageRules(devices: ReadonlyMap<string, string>): Rules {
  const device: Rule = (directive, block) => {
    firstName("Device", ONE_DEVICE, "Device")(directive, block);
    const taken = block.take("Device")[0];
    if (taken?.kind !== "scalar") return;
    if (devices.size > 0 && !devices.has(taken.text)) {
      block.say("differs", directive, "no storage daemon has a Device of this name: jobs that use it fail");
    }
    block.set("Device", devices.get(taken.text) ?? taken.text, directive);
  };
  return {
    name: name("Storage", "Name"),
    address: text("Address"),
    sdaddress: text("Address"),
    sdport: line("Port"),
    port: line("Port"),
    password: PASSWORD,
    device,
    mediatype: text("MediaType"),
    heartbeatinterval: withoutEffect(
      "the director keeps connections alive: HeartbeatInterval of the Director",
    ),
    autochanger,
  };
}

export function mapStorage(
  mapper: Mapper,
  resource: BaculaResource,
  devices: ReadonlyMap<string, string>,
  isChanger = false,
): void {
  mapper.resource(resource, "Storage", storageRules(devices), (block) => {
    if (isChanger && !block.has("Autochanger")) block.put("Autochanger", "yes");
  });
}

export function mapCounter(mapper: Mapper, resource: BaculaResource): void {
  mapper.resource(resource, "Counter", {
    name: text("Name"),
    minimum: line("Minimum"),
    maximum: line("Maximum"),
    wrapcounter: text("WrapCounter"),
    catalog: withoutEffect("the storage daemon counts"),
  });
}

const poolType: Rule = (directive, block) => {
  const value = textValue(directive, block);
  if (value === undefined) return;
  if (/^(backup|scratch)$/i.test(value)) block.set("PoolType", value, directive);
  else {
    block.say("differs", directive, `${value} makes no difference in Bacula: a pool for backups`);
    block.set("PoolType", "Backup", directive);
  }
};

const once: Rule = (directive, block) => {
  if (isYes(textOf(directive).text)) block.set("MaximumVolumeJobs", "1", directive);
  else block.say("without effect", directive, "it is the default");
};

const POOL_RULES: Rules = {
  name: name("Pool", "Name"),
  pooltype: poolType,
  usevolumeonce: once,
  storage: firstName("Storage", "a pool has one Storage here"),
  scratchpool: name("Pool"),
  recyclepool: name("Pool"),
  nextpool: name("Pool"),
  maximumvolumebytes: line("MaximumVolumeBytes"),
  migrationhighbytes: line("MigrationHighBytes"),
  migrationlowbytes: line("MigrationLowBytes"),
  migrationtime: time("MigrationTime"),
  volumeretention: time("VolumeRetention"),
  volumeuseduration: time("VolumeUseDuration"),
  fileretention: time("FileRetention"),
  jobretention: time("JobRetention"),
  labelformat: text("LabelFormat"),
};

/** Pools are not deduplicated unless `deduplicate`: volumes fill, purge and recycle as Bacula's do. */
export function mapPool(mapper: Mapper, resource: BaculaResource, deduplicate: boolean): void {
  mapper.resource(resource, "Pool", POOL_RULES, (block) => {
    const isScratch = /^scratch$/i.test(givenText(resource.directives, "PoolType") ?? "");
    if (isScratch) return;
    const remark = deduplicate ? "content already in the pool is not stored again" : KEPT_APART;
    block.put("Deduplicate", deduplicate ? "yes" : "no", remark);
  });
}

const KEPT_APART = "as in Bacula every job stores all it saves; yes stores equal content once";

/** Resources that have nothing to describe here; every directive counts as said. */
const GONE: Readonly<Record<string, string>> = {
  catalog:
    "the catalog lies with the storage daemon and needs no database server; no name or password is needed",
  statistics: 'statistics are not sent anywhere; "list jobs" and "status" show them',
  statistic: 'statistics are not sent anywhere; "list jobs" and "status" show them',
  consolefont: "there is no graphical console",
  cloud: "volumes are not copied to a cloud: they stay in the directory of their Device",
  ndmp: "there is no NDMP",
};

/** Says what becomes of a resource that is not carried over; false for one that has a place here. */
export function leaveOutKnown(mapper: Mapper, resource: BaculaResource): boolean {
  const folded = foldName(resource.kind);
  if (!Object.hasOwn(GONE, folded)) return false;
  const harmless = ["catalog", "consolefont"].includes(folded);
  mapper.leaveOut(resource, harmless ? "replaced" : "unsupported", GONE[folded]!);
  return true;
}
