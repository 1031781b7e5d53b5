/** For tests of rights: a console named `op` that is granted everything but what a test takes away. */
import type { ConsoleResource } from "../../config/types-console.js";
import type { FakeDirector } from "./fake-director.js";

const ALL = ["*all*"];
const OPEN: Omit<ConsoleResource, "name"> = {
  ...{ commandAcl: ALL, jobAcl: ALL, clientAcl: ALL, storageAcl: ALL, scheduleAcl: ALL, poolAcl: ALL },
  ...{ fileSetAcl: ALL, catalogAcl: ALL, whereAcl: ALL, pluginOptionsAcl: ALL, restoreClientAcl: [] },
  ...{ backupClientAcl: [], userIdAcl: ALL, directoryAcl: ALL },
};

/** Gives the console `op` these lists, and `*all*` in all others. */
export function setRights(director: FakeDirector, lists: Partial<ConsoleResource>): void {
  const consoles = director.config.consoles as Map<string, ConsoleResource>;
  consoles.set("op", { name: "op", ...OPEN, ...lists });
}
