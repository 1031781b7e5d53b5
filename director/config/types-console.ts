/** Consoles as the rest of the director sees them; conventions as in `types.ts`. */

/** An operator's console. Each ACL lists names or `*all*`; an empty one allows nothing. */
export interface ConsoleResource {
  readonly name: string;
  readonly fingerprint?: string | undefined;
  readonly commandAcl: readonly string[];
  readonly jobAcl: readonly string[];
  readonly clientAcl: readonly string[];
  readonly storageAcl: readonly string[];
  readonly scheduleAcl: readonly string[];
  readonly poolAcl: readonly string[];
  readonly fileSetAcl: readonly string[];
  readonly catalogAcl: readonly string[];
  readonly whereAcl: readonly string[];
  readonly pluginOptionsAcl: readonly string[];
  readonly restoreClientAcl: readonly string[];
  readonly backupClientAcl: readonly string[];
  readonly userIdAcl: readonly string[];
  readonly directoryAcl: readonly string[];
}
