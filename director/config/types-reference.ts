/** What a job says about the reference machine that it saves. */

/** What a Base job has built before it saves anything. How, its client's own configuration says. */
export interface ReferenceBuild {
  /** The Reference resource of the client. (Default: the job's name) */
  readonly name: string;
  /** What that resource must say; undefined: it may be any. */
  readonly builder?: "command" | "mmdebstrap" | "kickstart" | undefined;
  /** Undefined: as that resource says. */
  readonly bootCheck?: boolean | undefined;
  /** Less than this share of the Base in force fails the job; 0: nothing is expected. (Default: 50) */
  readonly expectedMatchPercent: number;
}
