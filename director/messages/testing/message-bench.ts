/** For tests: a message center with a database in memory, a clock that stands, and a mail server on loopback. */

import { createLog } from "../../../common/log.js";
import { setClock } from "../../../common/time.js";
import type { MailServer, MessageDestination, MessagesResource } from "../../config/types-messages.js";
import { DirectorDb } from "../../db/database.js";
import type { StatusLetter } from "../../db/records.js";
import { MessageCenter } from "../center.js";
import { SmtpServer } from "./smtp-server.js";

export const NOON = new Date(2026, 10, 21, 12, 0, 0).getTime();

/** Destination of a mail with all that matters. */
export function mailTo(target: string, kind: MessageDestination["kind"] = "mail"): MessageDestination {
  return { kind, target, types: ["all", "!skipped"] };
}

/** A header of a mail. */
export function header(data: string, name: string): string {
  return new RegExp(`^${name}: (.*)$`, "mi").exec(data)?.[1] ?? "";
}

/** Waits for what a database says, without a time of its own. */
export async function until(done: () => boolean): Promise<void> {
  while (!done()) await new Promise((resolve) => setTimeout(resolve, 5));
}

export class MessageBench {
  readonly db = DirectorDb.open(":memory:");
  smtp = new SmtpServer();
  clock = NOON;
  readonly #centers: MessageCenter[] = [];

  /** Close it with `close`. */
  static async open(): Promise<MessageBench> {
    const bench = new MessageBench();
    setClock(() => bench.clock);
    await bench.smtp.listen();
    return bench;
  }

  async close(): Promise<void> {
    for (const center of this.#centers) await center.close();
    await this.smtp.close();
    this.db.close();
    setClock();
  }

  /** Another mail server, on another port, in the place of one that was closed. */
  async replaceServer(): Promise<void> {
    this.smtp = new SmtpServer();
    await this.smtp.listen();
  }

  /** The resource `Standard`. */
  resource(destinations: MessageDestination[], server: Partial<MailServer> = {}): MessagesResource {
    return {
      name: "Standard",
      destinations,
      mail: {
        server: { address: "127.0.0.1", port: this.smtp.port, tls: "auto", verifyPeer: true, ...server },
        from: "(Bacula) <%r>",
        subject: "Bacula: %t %e of %c %l",
        operatorSubject: "Bacula: Intervention needed for %j",
      },
      webhook: { timeoutSec: 5 },
    };
  }

  /** A director's message center, as after a start. */
  start(resource: MessagesResource): MessageCenter {
    const log = createLog("test", { level: "silent" });
    const center = new MessageCenter({
      ...{ db: this.db, name: "main-dir", log, daemonMessages: () => resource },
      resource: (name) => (name === resource.name ? resource : undefined),
    });
    this.#centers.push(center);
    center.start();
    return center;
  }

  /** Records a run; its JobId. */
  createJob(level: "F" | "I" = "I"): number {
    const { jobs } = this.db;
    const count = jobs.count();
    return jobs.create(
      {
        ...{ uuid: `u${count}`, name: "web1", type: "B", level, client: "web1-fd", fileSet: "Etc" },
        ...{ pool: "Default", storage: "File", priority: 10, schedMs: NOON, comment: "", request: "" },
      },
      (attempt) => `web1.2026-11-21_12.00.00_0${count + attempt}`,
    ).jobId;
  }

  /** A run with messages, from its start to its end; its JobId. */
  runJob(
    center: MessageCenter,
    messages: MessagesResource,
    { status = "T" as StatusLetter, texts = ["one", "two"] } = {},
  ): number {
    const jobId = this.createJob();
    const source = { jobId, name: "web1", messages };
    center.beginJob(jobId);
    for (const text of texts) center.emit(source, "info", text);
    center.emit(source, "skipped", "a socket");
    this.db.jobs.update(jobId, { status, endMs: NOON });
    center.endJob(source);
    return jobId;
  }
}
