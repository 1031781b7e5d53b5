/** Live figures of running jobs for a console on a terminal, at most once a second and only while jobs run. */
import type { RunningJobs } from "../../proto/generated/basalt/v1/RunningJobs.js";
import type { ConsoleDirector } from "./port.js";

const INTERVAL_MS = 1000;

export class RunningReports {
  readonly #director: () => ConsoleDirector;
  readonly #send: (running: RunningJobs) => Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #unsubscribe: (() => void) | undefined;
  #sentJobs = 0;
  #sending = false;

  /** `director`: what the console may see of it now. */
  constructor(director: () => ConsoleDirector, send: (running: RunningJobs) => Promise<void>) {
    this.#director = director;
    this.#send = send;
  }

  get watched(): boolean {
    return this.#timer !== undefined;
  }

  /** Starts or stops the reports. */
  watch(on: boolean): void {
    this.stop();
    if (!on) return;
    this.#timer = setInterval(() => void this.#report(), INTERVAL_MS);
    this.#unsubscribe = this.#director().queue.on("change", () => void this.#report());
    void this.#report();
  }

  stop(): void {
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.#unsubscribe?.();
    this.#unsubscribe = undefined;
  }

  async #report(): Promise<void> {
    if (this.#sending) return;
    const jobs = this.#director()
      .queue.list()
      .filter((job) => job.state === "running");
    if (jobs.length === 0 && this.#sentJobs === 0) return;
    this.#sentJobs = jobs.length;
    this.#sending = true;
    try {
      await this.#send({
        jobs: jobs.map((job) => ({
          jobId: job.jobId,
          name: job.plan.job.name,
          type: job.plan.job.type,
          level: job.level,
          state: job.detail,
          startedMs: job.startedMs,
          progress: { ...job.progress, path: Buffer.from(job.progress.path, "latin1") },
        })),
      });
    } catch {
      // The console is gone; its session ends by itself.
      this.stop();
    } finally {
      this.#sending = false;
    }
  }
}
