/** The file daemon's part in snapshots that hooks make: it knows which jobs live, looks at the end, and cleans up when it starts. */
import { describeError } from "../../common/errors.js";
import type { Log } from "../../common/log.js";
import type { FiledConfig } from "../config.js";
import { letGoLeftovers } from "../freeze/held-notes.js";
import { checkJobSnapshots } from "./check.js";
import { snapshotContext } from "./context.js";
import { removeLeftovers } from "./remove.js";

/** From before its first hook until after its last one a job is known to the processes of its hooks. */
export class JobSnapshots {
  readonly #config: () => FiledConfig;
  readonly #uuid: string;
  readonly #report: (line: string) => void;
  #begun = false;

  constructor(config: () => FiledConfig, uuid: string, report: (line: string) => void) {
    this.#config = config;
    this.#uuid = uuid;
    this.#report = report;
  }

  /** Nothing is done where no snapshots are configured. @throws BackupError WORKING_DIRECTORY */
  begin(): void {
    if (this.#config().snapshots.length === 0) return;
    this.#context().jobs.begin(this.#uuid);
    this.#begun = true;
  }

  /** @throws BackupError SNAPSHOT_INVALID, SNAPSHOT_FAILED: what was read may be garbage */
  async check(): Promise<void> {
    if (this.#begun) await checkJobSnapshots(this.#context(), this.#uuid);
  }

  end(): void {
    if (!this.#begun) return;
    try {
      this.#context().jobs.end(this.#uuid);
    } catch (error) {
      this.#report(`the note that the job runs could not be removed: ${describeError(error)}`);
    }
  }

  #context() {
    return snapshotContext(this.#config(), this.#report);
  }
}

/** A guest that was killed with its guard is tried for so long. */
const LET_GO_MS = 600_000;

/** Lets go and removes what jobs of a daemon that died have left. What cannot be removed is in the log, and the daemon starts. */
export async function cleanUpAtStart(config: FiledConfig, log: Log): Promise<void> {
  const warn = (line: string): void => log.warn(line);
  // At once, and no start waits for a machine that does not answer.
  void letGoLeftovers(config.workingDirectory, warn, LET_GO_MS);
  if (config.snapshots.length === 0) return;
  const context = snapshotContext(config, warn);
  try {
    context.jobs.clearDead();
    await removeLeftovers(context);
  } catch (error) {
    log.error(`snapshots that dead jobs have left cannot be removed: ${describeError(error)}`);
  }
}
