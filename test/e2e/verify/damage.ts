/** One flipped bit anywhere in a volume: who finds it, what it costs, and how it heals. */
import assert from "node:assert/strict";
import { open, readFile, rm } from "node:fs/promises";
import { describe, test } from "node:test";
import { contentDigest } from "../../../common/format/content.js";
import { RecordKind } from "../../../common/format/frame.js";
import { FileStore } from "../../../storaged/store/file-store.js";
import { VolumeReader } from "../../../storaged/volume/reader.js";
import { Random } from "../../helpers/random.js";
import type { Scenario } from "../../helpers/scenario.js";
import { removeTree, runProgram } from "../../helpers/tree-ops.js";
import { verify } from "./levels.js";

type Part = "label" | "index" | "data" | "closing" | "end";

interface Span {
  part: Part;
  from: number;
  to: number;
  /** Of the chunks in a data frame, hex. */
  digests: string[];
}

/** The parts of a volume in which a bit may flip. */
async function spans(path: string): Promise<Span[]> {
  const reader = await VolumeReader.open(new FileStore(), path);
  const found: Span[] = [];
  try {
    for await (const item of reader.scan()) {
      const { offset, end } = item;
      if (item.type === "label") found.push({ part: "label", from: offset, to: end, digests: [] });
      else if (item.type === "frame") {
        const start = end - item.index.compressedBytes;
        const data = item.index.entries.length > 0;
        if (data) found.push({ part: "index", from: offset, to: start, digests: [] });
        const digests = item.index.entries.map(({ digest }) => digest.toString("hex"));
        found.push({ part: data ? "data" : "closing", from: start, to: end, digests });
      } else if (item.type === "record" && item.kind === RecordKind.jobEnd)
        found.push({ part: "end", from: offset, to: end, digests: [] });
    }
  } finally {
    await reader.close();
  }
  return found;
}

/** Flips one bit; doing it again takes it back. */
async function flip(path: string, at: number, bit: number): Promise<void> {
  const file = await open(path, "r+");
  try {
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at);
    byte[0] = byte[0]! ^ (1 << bit);
    await file.write(byte, 0, 1, at);
  } finally {
    await file.close();
  }
}

/** Output and exit status of the program under test. */
async function basalt(scenario: Scenario, args: string[]): Promise<{ out: string; status: number }> {
  const script = '"$@" 2>&1; echo "status=$?"';
  const text = String(await runProgram("sh", ["-c", script, "sh", scenario.basalt, ...args]));
  const status = Number(/status=(\d+)\s*$/.exec(text)?.[1] ?? "-1");
  return { out: text, status };
}

export function damageTests(get: () => Scenario): void {
  const path = () => get().volume("Vol-0001");
  const all = async (part: Part) => (await spans(path())).filter((span) => span.part === part);

  describe("a flipped bit", () => {
    const flipped: number[] = [];
    for (const [seed, part] of (["data", "index", "closing", "label", "end", "data"] as const).entries()) {
      test(`in ${part} (seed ${seed})`, async () => {
        const random = new Random(seed + 1);
        const span = random.pick(await all(part));
        const at = span.from + random.below(span.to - span.from);
        const bit = random.below(8);
        await flip(path(), at, bit);
        try {
          const where = `${part} at ${at}, bit ${bit}`;
          const offline = await basalt(get(), ["volume", "verify", path()]);
          assert.equal(offline.status, 1, `${where}\n${offline.out}`);
          const check = await get().installation.console(["check storage=File"]);
          assert.match(
            check,
            /^(damaged|missing|wrong|mislabeled): Volume "Vol-0001"/m,
            `${where}\n${check}`,
          );
          const content = part === "data" || part === "index";
          const report = await verify(get(), "Data", "jobid=2");
          if (!content) {
            assert.equal(report.termination, "Verify OK", `${where}\n${report.report}`);
            if (part === "label") return;
            const volume = await verify(get(), "VolumeToCatalog", "jobid=1");
            const other = await verify(get(), "VolumeToCatalog", "jobid=2");
            const found = [volume.termination, other.termination].includes("Verify Differences");
            assert.ok(found, `${where}\n${volume.report}${other.report}`);
            return;
          }
          assert.equal(report.termination, "Verify Differences", `${where}\n${report.report}`);
          const lost = [...report.report.matchAll(/Error: File: (\/.*)$/gm)].map(([, name]) => name!);
          assert.ok(lost.length > 0, report.report);
          for (const name of lost) {
            assert.ok(check.includes(`: ${name}`), `check does not name ${name}\n${check}`);
            // Without its index a frame cannot say which chunks it held.
            if (part === "data")
              assert.ok(offline.out.includes(name), `volume verify does not name ${name}\n${offline.out}`);
          }
          const target = get().path(`damaged-${seed}`);
          const restore = await get().installation.restore({ fileSet: "m", where: target });
          // A frame whose own checksum is wrong still holds good files: what comes back was compared with its digest.
          const isTold = (name: string): boolean =>
            [name, `${target}${name}`].some((shown) => restore.report.includes(`annot restore ${shown}: `));
          const told = lost.filter(isTold);
          assert.equal(restore.termination === "Restore OK", told.length === 0, restore.report);
          const names = new Set(await get().names(target));
          for (const name of await get().names(get().path("before"))) {
            if (told.includes(`/${name}`)) assert.ok(!names.has(name), `${name} came back, damaged`);
            else assert.ok(names.has(name), `${name} did not come back`);
          }
          for (const name of lost.filter((each) => !told.includes(each))) {
            const [is, was] = [target, get().path("before")].map((tree) => readFile(`${tree}${name}`));
            assert.ok((await is!).equals(await was!), `${name} came back with other content`);
          }
          await removeTree(target);
        } finally {
          await flip(path(), at, bit);
        }
      });
    }

    test("check --repair, the next backup stores the content anew, the old job is whole again", async () => {
      const { installation } = get();
      // The old content of f01 is on no disk any more: it could not come back.
      const old = contentDigest(await readFile(get().path("full/files/f01")));
      const frames = (await all("data")).filter(({ digests }) => !digests.includes(old.toString("hex")));
      for (const { to } of [frames[0]!, frames[1]!]) flipped.push(to - 9);
      for (const at of flipped) await flip(path(), at, 3);
      const running = await basalt(get(), ["check", "-c", `${installation.dir}/storaged.yaml`]);
      assert.equal(running.status, 1, running.out);
      assert.match(running.out, /console's command "check"/);
      await installation.kill("storaged", "SIGTERM");
      const args = ["check", "-c", `${installation.dir}/storaged.yaml`];
      const quick = await basalt(get(), [...args, "--quick"]);
      assert.match(quick.out, /all good/, quick.out);
      const before = await readFile(path());
      const found = await basalt(get(), [...args, "--repair"]);
      assert.equal(found.status, 3, found.out);
      assert.match(found.out, /set aside/);
      assert.match(found.out, /Jobs with files that are lost: JobId 1/);
      assert.deepEqual(await readFile(path()), before, "a repair changed the volume");
      await installation.start("storaged");
      await installation.waitReady();
      const healing = await get().backup("m", "Incremental");
      assert.ok(Number(healing.lines.get("SD Files Written")?.replaceAll(",", "")) > 0, healing.report);
      await get().restoresAs("m", get().path("full"), { jobIds: [1] });
      const again = await verify(get(), "Data", "jobid=1");
      assert.equal(again.termination, "Verify OK", again.report);
      const next = await get().backup("m", "Incremental");
      assert.equal(next.lines.get("SD Files Written"), "0", next.report);
      const check = await installation.console(["check storage=File repair"]);
      assert.match(check, /set aside before/);
      assert.doesNotMatch(check, /Jobs with files that are lost/);
    });

    test("marks are taken back when a copy is good after all", async () => {
      for (const at of flipped) await flip(path(), at, 3);
      const { installation } = get();
      const plain = await installation.console(["check storage=File"]);
      assert.match(plain, /is marked as damaged and is good$/m, plain);
      const repaired = await installation.console(["check storage=File repair"]);
      assert.match(repaired, /is marked as damaged and is good \(the mark was taken back\)$/m, repaired);
      assert.match(await installation.console(["check storage=File"]), /bytes checked: all good$/m);
    });

    test("a damaged Base is healed by any machine that still has the files", async () => {
      const base = await get().backup("reference", "Base");
      const full = await get().backup("vm", "Full");
      assert.equal(full.lines.get("Base JobIds"), String(base.jobId));
      const wanted = contentDigest(await readFile(get().path("reference/r0"))).toString("hex");
      const frame = (await all("data")).find(({ digests }) => digests.includes(wanted))!;
      const { installation } = get();
      await flip(path(), frame.to - 9, 1);
      const check = await installation.console(["check storage=File repair"]);
      assert.match(check, new RegExp(`JobId ${base.jobId}: content is damaged: /r0 `), check);
      // The reference itself is gone by now: the machine on it has the same file.
      const healing = await get().backup("vm", "Incremental");
      assert.notEqual(healing.lines.get("FD Bytes Sent")?.split(" ")[0], "0", healing.report);
      await get().restoresAs("reference", get().path("reference"), { jobIds: [base.jobId] });
      await get().restoresAs("vm", get().path("vm"));
      assert.equal((await verify(get(), "Data", `jobid=${full.jobId}`)).termination, "Verify OK");
      await flip(path(), frame.to - 9, 1);
    });

    test("content that nobody has any more stays lost, with a clear error", async () => {
      const { installation } = get();
      // Its bytes are random: they lie on the volume as they are.
      const bytes = await readFile(get().path("vm/r4"));
      const gone = contentDigest(bytes).toString("hex");
      for (const { from, to, digests } of await all("data")) {
        if (!digests.includes(gone)) continue;
        const at = (await readFile(path())).indexOf(bytes.subarray(5000, 5100), from);
        assert.ok(at > from && at < to);
        await flip(path(), at, 1);
      }
      await installation.console(["check storage=File repair"]);
      for (const machine of ["vm", "reference"]) await rm(get().path(machine, "r4"));
      await get().backup("vm", "Incremental");
      const target = get().path("lost");
      const [, jobId] = /JobId ([0-9]+): content is damaged: \/r4/.exec(
        await installation.console(["check storage=File"]),
      )!;
      const report = await installation.restore({ jobIds: [Number(jobId)], where: target });
      assert.notEqual(report.termination, "Restore OK", report.report);
      assert.match(report.report, /Error: .*\/r4\b/);
      assert.deepEqual(
        (await get().names(target)).filter((name) => /^r/.test(name)),
        ["r0", "r1", "r2", "r3"],
      );
    });
  });
}
