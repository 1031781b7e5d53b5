/**
 * One restore at the storage daemon: plans it, waits for filed's call, streams the plan with the frames it needs.
 * What cannot be read is told by name and counted; everything else goes on.
 */

import { displayPath } from "../../common/format/path.js";
import { encodeJson } from "../../proto/data/backup.js";
import { RestoreKind } from "../../proto/data/restore.js";
import type { JobResult } from "../../proto/generated/basalt/v1/JobResult.js";
import type { DataStream } from "../../proto/rpc.js";
import { asBuffer } from "../catalog/worker-rpc.js";
import { FetchedSession } from "./fetched-session.js";
import { FrameSource } from "./frame-source.js";
import { sendFrames } from "./restore-frames.js";
import { NO_SUMMARY, RestorePlanning } from "./restore-planning.js";
import type { BlockKind } from "./restore-reading.js";

export class RestoreSession extends FetchedSession {
  #plan: RestorePlanning | undefined;
  #failed = 0;

  protected counts(): JobResult {
    const { files, bytes, volumes } = this.#plan?.summary ?? NO_SUMMARY;
    return { files: files - this.#failed, filesExpected: files, bytes, errors: this.#failed, volumes };
  }

  protected expected(): number {
    return this.#plan?.summary.files ?? 0;
  }

  protected async prepare(): Promise<void> {
    const plan = await RestorePlanning.make(this.deps);
    this.#plan = plan;
    const jobIds = this.request.selection?.jobIds ?? [];
    await plan.begin({ jobUuid: this.jobUuid, jobIds, rules: this.rules, signal: this.signal });
    plan.whole.catch((error: unknown) => this.fail(error));
  }

  protected async release(): Promise<void> {
    await this.#plan?.drop();
  }

  protected async deliver(stream: DataStream): Promise<void> {
    const plan = this.#plan!;
    for await (const block of plan.makeBlocks())
      await stream.send(Buffer.concat([Buffer.of(RestoreKind.make), block]));
    this.#failed += plan.summary.failed;
    await this.#tellUnplaced(plan, stream);
    await this.#frames(plan, stream);
    await this.#blocks(plan, stream, "finish", RestoreKind.finish);
    await this.#tellLostLinks(plan, stream);
    await this.#blocks(plan, stream, "links", RestoreKind.links);
    await this.#blocks(plan, stream, "folders", RestoreKind.folders);
    const { files, bytes } = plan.summary;
    await stream.send(encodeJson(RestoreKind.end, { files, bytes, failed: this.#failed }));
    await stream.end();
  }

  async #blocks(plan: RestorePlanning, stream: DataStream, kind: BlockKind, wire: number): Promise<void> {
    const count = await plan.remote.blockCount(kind);
    for (let i = 0; i < count; i++) {
      const seq = kind === "folders" ? count - 1 - i : i;
      const block = await plan.remote.block(kind, seq);
      if (block !== undefined) await stream.send(Buffer.concat([Buffer.of(wire), asBuffer(block)]));
    }
  }

  async #frames(plan: RestorePlanning, stream: DataStream): Promise<void> {
    const source = new FrameSource(this.deps, (text) => this.reporter.message("info", text));
    await sendFrames(plan.remote, source, {
      stream,
      onSent: (bytes) => {
        this.sentBytes += bytes;
        return this.reporter.setProgress({ bytesSent: this.sentBytes });
      },
      onLost: (paths, why) => this.#lost(stream, paths, why),
    });
  }

  /** Names entries that this restore cannot give back. */
  async #lost(stream: DataStream, paths: readonly string[], why: string): Promise<void> {
    this.#failed += paths.length;
    for (const path of paths) {
      const text = `Cannot restore ${displayPath(path)}: ${why}`;
      await stream.send(encodeJson(RestoreKind.message, { type: "error", text }));
    }
  }

  async #tellUnplaced(plan: RestorePlanning, stream: DataStream): Promise<void> {
    for (let after = 0; ; ) {
      const page = await plan.remote.unplaced(after);
      if (page.length === 0) return;
      for (const { path } of page) {
        const text = `Cannot restore ${displayPath(path)}: its content is not on any volume of this storage`;
        await stream.send(encodeJson(RestoreKind.message, { type: "error", text }));
      }
      after = page.at(-1)!.id;
    }
  }

  async #tellLostLinks(plan: RestorePlanning, stream: DataStream): Promise<void> {
    const count = await plan.remote.blockCount("links");
    for (let seq = 0; seq < count; seq++) {
      await this.#lost(
        stream,
        await plan.remote.lostLinks(seq),
        "the file it is a hard link to could not be read",
      );
    }
  }
}
