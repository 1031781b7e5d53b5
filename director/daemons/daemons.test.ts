import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
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

test("who breaks connections before anything was said is tried again", { timeout: 60_000 }, () =>
  withBench(WEB1, async ({ director, directory }) => {
    const server = createServer((socket) => socket.destroy());
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const file = join(directory, "director.yaml");
      const { port } = server.address() as AddressInfo;
      const text = readFileSync(file, "utf8");
      writeFileSync(file, text.replace(/(Name: web1-fd\b[^}]*Port: )\d+/, `$1${port}`));
      assert.deepEqual(await director.reload(), { ok: true, errors: [] });
      const again = new AbortController();
      const told: string[] = [];
      const onRetry = (line: string) => {
        told.push(line);
        again.abort(new Error("tried again"));
      };
      const options = { timeoutMs: 60_000, signal: again.signal, onRetry };
      await assert.rejects(director.daemons.filed("web1-fd", options));
      assert.match(told.join(), /Could not connect to Client: web1-fd .*Retrying/);
    } finally {
      server.close();
    }
  }),
);
