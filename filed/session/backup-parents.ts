/** Which of the lists that storaged sends is what to a backup, by the roles that its `start` names. */
import { BackupError } from "../../common/errors.js";
import type { BackupStart } from "../../proto/data/backup.js";
import { Parents } from "../match/parents.js";
import type { BackupLink } from "./backup-link.js";

type Lists = Pick<BackupLink, "lists">;

/** The lists that a backup is compared with. */
export function parentsOf({ lists }: Lists, start: BackupStart): Parents {
  const withRole = (role: string) => lists.filter((_, index) => start.lists[index]!.role === role);
  return new Parents({
    own: withRole("own")[0],
    parent: withRole("parent")[0],
    bases: withRole("base"),
    compared: withRole("compared")[0],
    ownIsParent: start.ownIsParent,
  });
}

/**
 * The list that a Verify job compares with; undefined for InitCatalog, which has none.
 * @throws BackupError PROTOCOL_ERROR when it should be there and is not, or the other way round
 */
export function verifiedList({ lists }: Lists, start: BackupStart): BackupLink["lists"][number] | undefined {
  const list = lists.find((_, index) => start.lists[index]!.role === "verified");
  if ((list === undefined) !== (start.level === "InitCatalog"))
    throw new BackupError("PROTOCOL_ERROR", "the storage daemon sent no list to compare with");
  return list;
}
