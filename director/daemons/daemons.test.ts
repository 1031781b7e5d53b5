import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { test } from "node:test";
import type { StorageResource } from "../config/types.js";
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

test("a storage daemon that was greeted is asked without another greeting, until something has changed", () =>
  withBench(WEB1, async ({ director, directory }) => {
    const [storage] = [...director.config.storages.values()] as [StorageResource];
    assert.equal(director.daemons.greeted(storage), undefined);
    const channel = await director.daemons.storaged(storage.name);
    assert.equal(director.daemons.greeted(storage), channel);
    assert.equal(director.daemons.greeted({ ...storage, port: storage.port + 1 }), undefined);
    assert.equal(director.daemons.greeted({ ...storage, fingerprint: "ab".repeat(32) }), undefined);
    // Another configuration may have other pools, which the daemon does not know yet.
    const file = join(directory, "director.yaml");
    writeFileSync(file, `${readFileSync(file, "utf8")}\n`);
    assert.deepEqual(await director.reload(), { ok: true, errors: [] });
    assert.equal(director.daemons.greeted(storage), undefined);
  }));
