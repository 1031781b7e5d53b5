/** FileSets as the rest of the director sees them; see types.ts. */

/** `none` stores as is; `fast` is the quickest level; `auto` leaves out what does not shrink; else a zstd level. */
export type Compression = "none" | "auto" | "fast" | number;

export interface OptionsBlock {
  readonly compression: Compression;
  readonly oneFs: boolean;
  readonly sparse: boolean;
  readonly recurse: boolean;
  readonly hardLinks: boolean;
  readonly aclSupport: boolean;
  readonly xattrSupport: boolean;
  readonly readFifo: boolean;
  /** What matches this block is left out. */
  readonly exclude: boolean;
  readonly ignoreCase: boolean;
  readonly wild: readonly string[];
  readonly wildDir: readonly string[];
  readonly wildFile: readonly string[];
  readonly regex: readonly string[];
  readonly regexDir: readonly string[];
  readonly regexFile: readonly string[];
  /** Only these file system types are entered, such as `ext4`; empty: all. */
  readonly fsType: readonly string[];
  readonly noAtime: boolean;
  readonly keepAtime: boolean;
  readonly checkFileChanges: boolean;
  /** Compare mtime only, never ctime. */
  readonly mtimeOnly: boolean;
  readonly signature: "none" | "md5" | "sha1" | "sha256" | "sha512";
  /** Leading path components left out of stored names. */
  readonly stripPath: number;
  /** Disk images are cut in blocks of this size: a power of two, 4 KiB to 1 MiB; 0 = 64 KiB. */
  readonly blockSizeBytes: number;
  /** Blocks of disk images that the file systems in them call free become zeros. (Default: no, and then not set) */
  readonly skipFree?: boolean | undefined;
  /** Files and directories with the nodump attribute are left out. (Default: no, and then not set) */
  readonly honorNoDump?: boolean | undefined;
  /** Attributes compared with a Base, the last run, a Verify: Bacula's letters. */
  readonly baseJob?: string | undefined;
  readonly accurate?: string | undefined;
  readonly verify?: string | undefined;
}

export interface IncludeBlock {
  /** Absolute paths; `|command` and `\<file` as in Bacula. */
  readonly files: readonly string[];
  /** Absolute host paths, with wildcards, of devices and files to be stored as disk images. Not set when empty. */
  readonly images?: readonly string[] | undefined;
  /** Host path that becomes `/` in stored names, such as where a snapshot is mounted. Not for images. */
  readonly root?: string | undefined;
  /** First match decides; the last block, when it has no patterns, is the default. Never empty. */
  readonly options: readonly OptionsBlock[];
  /** A directory holding a file of one of these names is left out with all below it. */
  readonly excludeDirContaining: readonly string[];
}

export interface FileSetResource {
  readonly name: string;
  readonly include: readonly IncludeBlock[];
  readonly excludeFiles: readonly string[];
  /** A changed FileSet does not force a Full. */
  readonly ignoreChanges: boolean;
  /** SHA-256 (hex) of what decides which files are stored and how; differs when the FileSet was changed. */
  readonly digest: string;
}
