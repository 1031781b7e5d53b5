/** A million steps, shared out to as many processes as there are processors. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { availableParallelism } from "node:os";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const seed = Number(process.env.BASALT_SEED ?? Math.floor(Math.random() * 1e9));
const steps = Number(process.env.BASALT_STEPS ?? 1_000_000);

/** Steps in one storage, by process: short and long histories. */
const LENGTHS = [250, 1000, 100, 500];

test(`a million steps of random histories (BASALT_SEED=${seed} BASALT_STEPS=${steps})`, async () => {
  const count = availableParallelism();
  const file = fileURLToPath(new URL("./histories.test.js", import.meta.url));
  const runs = Array.from({ length: count }, async (_none, i) => {
    const env = {
      ...process.env,
      // Far enough apart that no two use the same.
      BASALT_SEED: String(seed + i * steps),
      BASALT_STEPS: String(Math.ceil(steps / count)),
      BASALT_LENGTH: String(LENGTHS[i % LENGTHS.length]),
    };
    const child = spawn(process.execPath, ["--enable-source-maps", file], {
      env,
      stdio: ["ignore", "pipe", "inherit"],
    });
    let said = "";
    child.stdout.on("data", (bytes: Buffer) => {
      said = (said + bytes.toString()).slice(-100_000);
    });
    const [status] = (await once(child, "close")) as [number | null];
    assert.equal(status, 0, said);
  });
  await Promise.all(runs);
});
