import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { WEB1, withBench } from "../with-bench.js";

const openSockets = (): number =>
  process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length;

test(
  "attempts to reach somebody else in a daemon's place leave no connections behind",
  { timeout: 60_000 },
  () =>
    withBench(WEB1, async ({ director, directory }) => {
      const file = join(directory, "director.yaml");
      const pinned = `MaximumConcurrentJobs: 5, Fingerprint: ${"ab".repeat(32)}}]`;
      const text = readFileSync(file, "utf8").replace("MaximumConcurrentJobs: 5}]", pinned);
      writeFileSync(file, text);
      assert.deepEqual(await director.reload(), { ok: true, errors: [] });
      const attempt = () => assert.rejects(director.daemons.filed("web1-fd"), { code: "TLS_IDENTITY" });
      await attempt();
      const once = openSockets();
      for (let more = 0; more < 5; more++) await attempt();
      while (openSockets() > once) await new Promise((resolve) => setTimeout(resolve, 10));
    }),
);
