/**
 * What a console may do and see. A console without a resource in the configuration is the administrator's and
 * may do everything; one that is named there may do what its lists grant and nothing else.
 */
import { BackupError } from "../../common/errors.js";
import { withoutEndSlashes } from "../../common/format/path.js";
import type { ConsoleResource } from "../config/types-console.js";

export type AclKind =
  | "command"
  | "job"
  | "client"
  | "storage"
  | "schedule"
  | "pool"
  | "fileSet"
  | "catalog"
  | "where"
  | "directory"
  | "userId"
  | "restoreClient"
  | "backupClient";

/** Leaving is always allowed, as in Bacula. */
const ALWAYS: ReadonlySet<string> = new Set(["quit", "exit", ".quit", ".exit"]);
/** Their answers cannot be narrowed down: they want everything granted that can be read. */
const OVER_ALL: ReadonlySet<string> = new Set(["sqlquery", "sql", "query", ".sql"]);
const READABLE: readonly AclKind[] = [
  ...(["job", "client", "storage", "schedule", "pool", "fileSet", "catalog", "directory", "userId"] as const),
];
/** A resource that grants nothing. */
const NOTHING: ConsoleResource = {
  name: "",
  commandAcl: [],
  jobAcl: [],
  clientAcl: [],
  storageAcl: [],
  scheduleAcl: [],
  poolAcl: [],
  fileSetAcl: [],
  catalogAcl: [],
  whereAcl: [],
  pluginOptionsAcl: [],
  restoreClientAcl: [],
  backupClientAcl: [],
  userIdAcl: [],
  directoryAcl: [],
};

export class Acl {
  readonly #resource: ConsoleResource | undefined;

  constructor(resource: ConsoleResource | undefined) {
    this.#resource = resource;
  }

  /** Of a console that lost its resource while it was connected: it does not become the administrator's by that. */
  static nothing(): Acl {
    return new Acl(NOTHING);
  }

  /** True for the administrator's console. */
  get unrestricted(): boolean {
    return this.#resource === undefined;
  }

  /** True when the list grants everything, so that nothing needs filtering. */
  grantsAll(kind: AclKind): boolean {
    if (this.#resource === undefined) return true;
    const list = this.#list(kind);
    return list.some(isAll) && !list.some((entry) => entry.startsWith("!"));
  }

  /** What a list holds as written; of the administrator's console nothing. */
  entries(kind: AclKind): readonly string[] {
    return this.#resource === undefined ? [] : this.#list(kind);
  }

  /**
   * True when `name` is granted. Command names compare in any case; `where` grants what lies below, and original
   * places only when it holds `/`. Directories and users are a matter of `EntryGate`.
   */
  allows(kind: AclKind, name: string): boolean {
    const overAll = kind === "command" && OVER_ALL.has(name.toLowerCase());
    if (overAll && !READABLE.every((each) => this.grantsAll(each))) return false;
    if (this.grantsAll(kind) || (kind === "command" && ALWAYS.has(name.toLowerCase()))) return true;
    // What climbs with ".." ends up elsewhere than where it begins.
    if (kind === "where" && (!name.startsWith("/") || name.split("/").includes(".."))) return false;
    const list = this.#list(kind);
    if (list.some((entry) => entry.startsWith("!") && this.#fits(kind, entry.slice(1), name))) return false;
    return list.some((entry) => isAll(entry) || this.#fits(kind, entry, name));
  }

  /** The entries of a list that may be shown. */
  filter<T>(kind: AclKind, items: readonly T[], nameOf: (item: T) => string): T[] {
    return this.grantsAll(kind) ? [...items] : items.filter((item) => this.allows(kind, nameOf(item)));
  }

  /** Clients may be granted by ClientACL, or for one direction only. */
  allowsClient(name: string, direction: "any" | "backup" | "restore" = "any"): boolean {
    if (this.allows("client", name)) return true;
    if (direction === "backup") return this.allows("backupClient", name);
    if (direction === "restore") return this.allows("restoreClient", name);
    return this.allows("backupClient", name) || this.allows("restoreClient", name);
  }

  #fits(kind: AclKind, entry: string, name: string): boolean {
    if (kind === "command") return entry.toLowerCase() === name.toLowerCase();
    if (kind === "where") {
      const top = withoutEndSlashes(entry);
      return name === top || name.startsWith(`${top}/`);
    }
    return entry === name;
  }

  #list(kind: AclKind): readonly string[] {
    const resource = this.#resource!;
    return {
      command: resource.commandAcl,
      job: resource.jobAcl,
      client: resource.clientAcl,
      storage: resource.storageAcl,
      schedule: resource.scheduleAcl,
      pool: resource.poolAcl,
      fileSet: resource.fileSetAcl,
      catalog: resource.catalogAcl,
      where: resource.whereAcl,
      directory: resource.directoryAcl,
      userId: resource.userIdAcl,
      restoreClient: resource.restoreClientAcl,
      backupClient: resource.backupClientAcl,
    }[kind];
  }
}

/** `!purge, *all*` grants everything else. */
function isAll(entry: string): boolean {
  return entry.toLowerCase() === "*all*";
}

/** What a console is told that asks for something its resource does not grant. */
export function notAllowed(what: string): BackupError {
  return new BackupError("NOT_ALLOWED", `${what}: not allowed by this console's ACL`);
}
