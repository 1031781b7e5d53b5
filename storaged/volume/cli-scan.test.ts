import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { contentDigest } from "../../common/format/content.js";
import { EntryType, emptyRow } from "../../common/format/row.js";
import { lockWorkingDirectory } from "../../common/working-directory.js";
import { FileStore } from "../store/file-store.js";
import { runVolumeCommand } from "./cli.js";
import { TEST_VOLUME, writeTestConfig, writeVolume } from "./fixture.js";

async function run(...args: string[]): Promise<{ status: number; out: string; err: string }> {
  const text = { out: "", err: "" };
  const status = await runVolumeCommand(args, {
    out: async (more) => {
      text.out += more;
    },
    err: async (more) => {
      text.err += more;
    },
  });
  return { status, ...text };
}

/** A storage daemon's configuration with one volume in its directory. */
async function installation(t: TestContext): Promise<{ directory: string; config: string; volume: string }> {
  const directory = mkdtempSync(join(tmpdir(), "basalt-scan-"));
  t.after(() => rmSync(directory, { recursive: true }));
  const config = writeTestConfig(directory);
  const volume = join(directory, TEST_VOLUME);
  const data = Buffer.from("content");
  const row = { ...emptyRow("file", EntryType.file), size: data.length, content: contentDigest(data) };
  await writeVolume(new FileStore(), volume, { rows: [row], files: new Map([["file", data]]) });
  return { directory, config, volume };
}

test("volume scan: words, statuses, and the daemon's lock", async (t) => {
  const { directory, config, volume } = await installation(t);
  const catalog = join(directory, "catalog.db");
  for (const args of [[], [volume], ["-c", config], [volume, "-c"], [volume, "-c", config, "--what"]]) {
    const { status, err } = await run("scan", ...args);
    assert.equal(status, 2, args.join(" "));
    assert.match(err, /usage: basalt volume/);
  }
  const dry = await run("scan", volume, "-c", config, "--dry");
  assert.match(dry.out, /1 volumes, 2 frames\n1 jobs can be restored\nnothing was changed\n/);
  assert.equal(existsSync(catalog), false);
  const lock = lockWorkingDirectory(directory, "storaged");
  const locked = await run("scan", volume, "-c", config);
  lock.release();
  assert.equal(locked.status, 1);
  assert.match(locked.err, /another storaged \(process \d+\) works in/);
  const good = await run("scan", volume, "-c", config);
  assert.deepEqual([good.status, good.err], [0, ""]);
  assert.match(good.out, /\ncatalog: .*catalog\.db\n/);
  assert.equal(existsSync(catalog), true);
  const again = await run("scan", volume, "-c", config);
  assert.equal(again.status, 1);
  assert.match(again.err, /knows 1 jobs: move it away first, or add to it with --add/);
  assert.equal((await run("scan", volume, "-c", config, "--add")).status, 0);
  assert.equal((await run("scan", volume, "/nowhere", "-c", config, "--add")).status, 3);
});
