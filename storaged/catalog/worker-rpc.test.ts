import assert from "node:assert/strict";
import { test } from "node:test";
import { WorkerClient } from "./worker-rpc.js";

const worker = (code: string): URL =>
  new URL(
    `data:text/javascript,${encodeURIComponent(`import { parentPort } from "node:worker_threads"; ${code}`)}`,
  );

test("closing fails the calls that are open, and later ones", async () => {
  const client = new WorkerClient(worker('parentPort.on("message", () => {});'), {});
  const open = assert.rejects(client.call("never", []), { code: "WORKER_ENDED" });
  await client.close();
  await open;
  await assert.rejects(client.call("later", []), { code: "WORKER_ENDED" });
});

test("a thread that ends by itself fails its calls and is told of", async () => {
  const died = new Promise<Error>((resolve) => {
    const client = new WorkerClient(worker('parentPort.on("message", () => process.exit(3));'), {}, resolve);
    assert.rejects(client.call("anything", []), { code: "WORKER_ENDED" }).catch(resolve);
  });
  assert.match((await died).message, /ended \(3\)/);
});

test("large parts of a result move, short ones are copied", async () => {
  const rpc = new URL("./worker-rpc.js", import.meta.url).href;
  const code = `import { Moving, serveMethods } from ${JSON.stringify(rpc)};
    const parts = [Buffer.alloc(100_000, "a"), Buffer.from("short")];
    serveMethods(parentPort, { give: () => new Moving({ parts }, parts), left: () => parts.map((part) => part.length) });`;
  const client = new WorkerClient(worker(code), {});
  const { parts } = (await client.call("give", [])) as { parts: Uint8Array[] };
  assert.deepEqual(
    parts.map((part) => part.length),
    [100_000, 5],
  );
  assert.equal(Buffer.from(parts[0]!).toString(), "a".repeat(100_000));
  assert.deepEqual(await client.call("left", []), [0, 5]);
  await client.close();
});
