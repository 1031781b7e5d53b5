/**
 * ReadLimit: one job that reads files and one that reads an image, both limited. What filed really read is taken from
 * the kernel's count of its read calls, ten times a second.
 */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { seededBytes } from "../../test/helpers/raw-trees.js";
import { Basalt, basaltKind } from "../basalt.js";
import { makeSparse, writeSeeded } from "../images.js";
import { IMAGE_NAME, type Machine, type Peer } from "../peer.js";
import { type ReadSample, steadyRates } from "../read-rate.js";
import { measure, type Setting, withPeers } from "../rounds.js";

const WINDOW_SECONDS = 10;
const TOLERANCE = 0.05;
const SAMPLE_MS = 100;
const NAME = "basalt";

/** 15 s worth at 20 MB/s: 6,000 files, 16 larger ones, and an image with as much in many places. */
function makeLimitSources(dir: string): Machine[] {
  const [tree, image] = [join(dir, "tree"), join(dir, "image")];
  if (!existsSync(join(dir, "made.txt"))) {
    for (let number = 0; number < 6000; number++) {
      const folder = join(tree, `d${number % 50}`);
      mkdirSync(folder, { recursive: true });
      writeFileSync(join(folder, `f${number}`), seededBytes(`limit ${number}`, 5000 + (number % 40) * 1000));
    }
    for (let number = 0; number < 16; number++)
      writeSeeded(join(tree, `large-${number}`), `large ${number}`, 10e6);
    mkdirSync(image, { recursive: true });
    makeSparse(join(image, IMAGE_NAME), 2 ** 30, 4800);
    writeFileSync(join(dir, "made.txt"), "");
  }
  return [
    { name: "limit-tree", kind: "tree", tree },
    { name: "limit-image", kind: "image", tree: image },
  ];
}

/** Bytes that a process has got from read calls since it started, all threads together. */
function bytesReadBy(pid: number): number {
  return Number(/^rchar: (\d+)/m.exec(readFileSync(`/proc/${pid}/io`, "latin1"))?.[1]);
}

/** One repetition. */
export async function limitPhase(setting: Setting): Promise<void> {
  const machines = makeLimitSources(join(setting.dir, "trees", "limit"));
  const kind = basaltKind({ name: NAME, job: { ReadLimit: `${setting.readLimitMb} MB/s` } });
  await withPeers(setting, [kind], machines, async (peers) => {
    for (const peer of peers) for (const machine of machines) await measureLimited(setting, peer, machine);
  });
}

async function measureLimited(setting: Setting, peer: Peer, machine: Machine): Promise<void> {
  if (!(peer instanceof Basalt)) return;
  const step = `ReadLimit ${setting.readLimitMb} MB/s, ${machine.kind}`;
  await measure(setting, peer, step, async () => {
    const samples: ReadSample[] = [];
    const start = performance.now();
    const timer = setInterval(() => {
      try {
        samples.push({ seconds: (performance.now() - start) / 1000, bytes: bytesReadBy(peer.pid("filed")) });
      } catch {
        // filed is being started anew for a profile.
      }
    }, SAMPLE_MS);
    const cost = await peer.backup({ level: "full", machine }).finally(() => clearInterval(timer));
    judge(setting, step, samples);
    return cost;
  });
}

function judge(setting: Setting, step: string, samples: ReadSample[]): void {
  const limit = setting.readLimitMb * 1e6;
  const rates = steadyRates(samples, { windowSeconds: WINDOW_SECONDS, expected: limit });
  const what = `${step}, repetition ${setting.repetition + 1}: read over any ${WINDOW_SECONDS} s`;
  const goal = `within ${TOLERANCE * 100} %`;
  if (rates === undefined) {
    setting.verdicts.push({ what, reached: "never so long at work", goal, met: false });
    return;
  }
  const [least, most] = [rates.least / 1e6, rates.most / 1e6];
  const met = rates.least >= limit * (1 - TOLERANCE) && rates.most <= limit * (1 + TOLERANCE);
  setting.verdicts.push({ what, reached: `${least.toFixed(2)} to ${most.toFixed(2)} MB/s`, goal, met });
}
