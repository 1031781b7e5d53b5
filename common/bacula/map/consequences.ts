/**
 * What follows when a directive of Bacula or Bareos has no counterpart here. Only those are listed that the daemons'
 * loaders do not know; what a loader begins to know is carried over without a change here.
 */

import { foldName } from "../../config/diagnostics.js";
import type { Removal } from "./types.js";

type Table = Readonly<Record<string, string>>;

const NO_NDMP = "there is no NDMP";
const NO_PLUGINS = "there are no plugins: what it would have backed up is not backed up";
const OTHER_ADDRESS = "all clients get the Address of the Storage resource: it must be good for all of them";
const NO_QUOTA = "clients have no quota: nothing stops one from storing more";
const FREE_SPACE =
  "a job fails when the disk is full; limit the pool by MaximumVolumes and MaximumVolumeBytes";
const PKI =
  "backups are not encrypted by the client. Volumes hold the files as they are: keep them on an encrypted disk";

const EVERYWHERE: Table = {
  pluginnames: "there are no plugins",
  pluginoptions: NO_PLUGINS,
  fdpluginoptions: NO_PLUGINS,
  sdpluginoptions: NO_PLUGINS,
  dirpluginoptions: NO_PLUGINS,
  backenddirectory: "there are no backends to load",
  maximumnetworkbuffersize: "buffers adjust themselves",
  verid: "it is a remark",
  fipsrequire: "the TLS library of Node decides which algorithms there are",
  optimizeforsize: "there is nothing to choose",
  optimizeforspeed: "there is nothing to choose",
  logtimestampformat: "times in logs have one form",
  secureerasecommand: "files are removed, not overwritten",
  enablektls: "TLS is done by the daemon itself",
  ndmploglevel: NO_NDMP,
  collectstatistics: "statistics are not collected",
  statisticscollectinterval: "statistics are not collected",
  protocol: "all clients speak one protocol",
  authtype: NO_NDMP,
  username: "certificates are the only way to log in",
  allowbandwidthbursting: "a limit of bandwidth is kept all the time",
};

const OF_KIND: Readonly<Record<string, Table>> = {
  director: {
    auditing: "every command of a console is in the log",
    auditevents: "every command of a console is in the log",
    maximumreloadrequests: "reloads are not counted",
    autoprune: "AutoPrune of the Client and of the Job decide",
    absolutejobtimeout: "jobs are not ended by this; use MaxRunTime of the Job",
    keyencryptionkey: "there is no encryption by tape drives",
    subscriptions: "nothing is counted",
    eventsretention: "logs stay as long as StatisticsRetention says",
    ndmpsnooping: NO_NDMP,
    ndmploglevel: NO_NDMP,
    ndmpnamelistfhinfosetzero: NO_NDMP,
  },
  client: {
    fdstorageaddress: OTHER_ADDRESS,
    lanaddress: OTHER_ADDRESS,
    snapshotretention: "snapshots are removed by the job that made them",
    allowfdconnections: "the director must be able to reach this client",
    connectionfromclienttodirector: "the director must be able to reach this client",
    connectionfromdirectortoclient: "the director always calls the client",
    hardquota: NO_QUOTA,
    softquota: NO_QUOTA,
    softquotagraceperiod: NO_QUOTA,
    strictquotas: NO_QUOTA,
    quotaincludefailedjobs: NO_QUOTA,
    ndmpblocksize: NO_NDMP,
    ndmploglevel: NO_NDMP,
    ndmpuselmdb: NO_NDMP,
  },
  storage: {
    maximumconcurrentreadjobs: "reading jobs count as any other job: MaximumConcurrentJobs",
    fdstorageaddress: OTHER_ADDRESS,
    lanaddress: OTHER_ADDRESS,
    pairedstorage: NO_NDMP,
    cachestatusinterval: "status is asked for when it is wanted",
    sharedstorage: "one storage daemon writes a volume",
    storagegroup: "one Storage is used",
    storagegrouppolicy: "one Storage is used",
    clientconnecttimeout: "a client that does not answer fails the job after FdConnectTimeout",
    clientconnectwait: "a client that does not answer fails the job after FdConnectTimeout",
    autoxflateonreplication: "content is copied as it is stored",
  },
  job: {
    bootstrap: "restores are planned from the catalog",
    writeverifylist: "what a Verify job finds is in its messages",
    backupstokeep: "use Keep, which says which runs stay",
    deleteconsolidatedjobs: "use Keep with Consolidate",
    maximumspawnedjobs: "a Copy or Migrate job takes all jobs that its selection finds",
    snapshotretention: "snapshots are removed by the job that made them",
    allowhigherduplicates: "AllowDuplicateJobs and the three cancel rules decide",
    savefilehistory: NO_NDMP,
    filehistorysize: NO_NDMP,
    storagegrouppolicy: "one Storage is used",
    restoreclient: "a restore goes to the Client of the job, or to restoreclient= in the command",
    writepartafterjob: "a volume is one file",
    dirpluginoptions: NO_PLUGINS,
  },
  options: {
    noatime: "files are always read without a new access time",
    dedup: "the Pool decides: Deduplicate",
    hfsplussupport: "there are no macOS clients",
    reader: NO_PLUGINS,
    writer: NO_PLUGINS,
    autoexclude: "there are no Windows clients",
    shadowing: "a file named twice is stored once",
    size: "files are not chosen by size",
    meta: "there is nothing of that kind",
    forceencryption: PKI,
    encryption: PKI,
  },
  pool: {
    maximumpoolbytes: "a pool is not limited by its size; use MaximumVolumes with MaximumVolumeBytes",
    maxpoolbytes: "a pool is not limited by its size; use MaximumVolumes with MaximumVolumeBytes",
    copypool: "use NextPool of the Pool",
    usecatalog: "the catalog always knows everything",
    labeltype: "there are no tapes",
    minimumblocksize: "there are no tapes",
    maximumblocksize: "there are no tapes",
  },
  filedaemon: {
    absolutejobtimeout: "jobs are not ended by this; use MaxRunTime of the Job",
    pkisignatures: PKI,
    pkiencryption: PKI,
    pkikeypair: PKI,
    pkimasterkey: PKI,
    pkisigner: PKI,
    pkicipher: PKI,
    pkidigest: PKI,
    sdconnecttimeout: "the storage daemon connects to the client",
    disablecommand:
      "use HookDirectories, AllowedRoots and RestoreRoots to limit what the director may have done",
    allowedjobcommand:
      "use HookDirectories, AllowedRoots and RestoreRoots to limit what the director may have done",
    snapshotcommand: "use snapshot-create and snapshot-remove as commands of the job",
    compatible: "there is one format",
    alwaysuselmdb: "lists are streamed; nothing is kept in memory",
    lmdbthreshold: "lists are streamed; nothing is kept in memory",
    grpcmodule: NO_PLUGINS,
  },
  console: {
    runacl: "use CommandACL without run, or JobACL",
    profile: "its lists stand in the Console",
  },
  device: {
    minimumfeespace: FREE_SPACE,
    minimumfreespace: FREE_SPACE,
    wormcommand: "there are no tapes",
    cloud: "volumes are not copied to a cloud: they stay in the directory",
    maximumpartsize: "volumes are not copied to a cloud: they stay in the directory",
    freespacecommand: "a volume ends when the disk is full",
  },
};

/** Directives that the loaders know to have no effect, and whose absence is felt. */
const LOST: Readonly<Record<string, string>> = {
  filedaemon: "maximumbandwidthperjob",
  pool: "maximumvolumefiles",
};

/** Directives by whose absence nothing is lost. */
const IDLE: Readonly<Record<string, string>> = {
  director:
    "auditing auditevents maximumreloadrequests autoprune subscriptions eventsretention ndmpsnooping ndmploglevel " +
    "ndmpnamelistfhinfosetzero",
  client: "snapshotretention connectionfromdirectortoclient ndmpblocksize ndmploglevel ndmpuselmdb",
  storage:
    "maximumconcurrentreadjobs pairedstorage cachestatusinterval clientconnectwait autoxflateonreplication clientconnecttimeout",
  job: "bootstrap writepartafterjob snapshotretention allowincompletejobs allowhigherduplicates savefilehistory filehistorysize",
  options: "noatime dedup hfsplussupport autoexclude shadowing meta",
  pool: "usecatalog labeltype minimumblocksize maximumblocksize",
  filedaemon: "sdconnecttimeout compatible alwaysuselmdb lmdbthreshold",
  device:
    "alertcommand backwardspacerecord backwardspacefile blockpositioning blocksize bsfateom closeonpoll " +
    "drivecryptoenabled querycryptostatus drivetapealertenabled eofonerroriseot fastforwardspacefile " +
    "forwardspacerecord forwardspacefile hardwareendofmedium hardwareendoffile labelblocksize labeltype " +
    "maximumblocksize minimumblocksize maximumnetworkbuffersize maximumrewindwait mountcommand " +
    "mountpoint mtcommand nospaceonfatal offlineonunmount paddingsize requiresmount controldevice twoeof " +
    "unmountcommand usemtiocget writepartcommand autoselect autoinflate autodeflate autodeflatealgorithm " +
    "autodeflatelevel diagnosticdevice devicelocktimeout syncuponclose maximumjobspoolsize collectstatistics " +
    "norewindonclose aligneddevice checklabels wormcommand filealignment minimumalignedsize maximumjobspoolsize " +
    "synconclose volumecapacity eomoneof logicalblockprotection",
};

const FILES = "it has no meaning for volumes that are files";

/** Begins what is said about a directive that neither Bacula nor Bareos is known to have. */
export const UNKNOWN_DIRECTIVE = "it is not known here, and what it did is not done";

/** What a loader found at a directive or resource, as it is to be reported. */
export function removalOf(kind: string, directive: string, severity: string, message: string): Removal {
  const folded = foldName(directive);
  const effect = /has no effect: (.*)$/.exec(message)?.[1];
  if (severity === "warning" && effect !== undefined) {
    const isLoss = LOST[foldName(kind)]?.split(" ").includes(folded) === true;
    return { outcome: isLoss ? "unsupported" : "without effect", text: effect };
  }
  if (!/unknown directive/.test(message)) return { outcome: "wrong", text: message };
  const text = consequence(foldName(kind), folded);
  const isIdle = IDLE[foldName(kind)]?.split(" ").includes(folded) === true;
  if (isIdle) return { outcome: "without effect", text: text ?? FILES };
  if (text !== undefined) {
    const isLoss = Object.hasOwn(OF_KIND[foldName(kind)] ?? {}, folded) || text === NO_PLUGINS;
    return { outcome: isLoss ? "unsupported" : "without effect", text };
  }
  const hint = /did you mean "([^"]*)"/.exec(message)?.[1];
  const near = hint === undefined ? "" : `; did you mean ${hint}?`;
  return { outcome: "unsupported", text: `${UNKNOWN_DIRECTIVE}${near}` };
}

function consequence(kind: string, folded: string): string | undefined {
  const table = OF_KIND[kind] ?? {};
  if (Object.hasOwn(table, folded)) return table[folded];
  return Object.hasOwn(EVERYWHERE, folded) ? EVERYWHERE[folded] : undefined;
}
