import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { issueCa, issuePeer } from "../common/tls/issue.js";
import { RpcChannel, RpcServer, type RpcTls } from "../proto/rpc.js";
import { volumeHandlers } from "./service-volumes.js";
import { POOL, TestStorage } from "./session/testing.js";

let storage: TestStorage;
let server: RpcServer;
let director: RpcChannel;

before(async () => {
  const ca = await issueCa("test");
  const tlsOf = async (role: "storaged" | "director", name: string): Promise<RpcTls> => {
    const { certPem, keyPem } = await issuePeer(ca, { role, name });
    return { ca: Buffer.from(ca.certPem), cert: Buffer.from(certPem), key: Buffer.from(keyPem) };
  };
  storage = await new TestStorage().open([
    { ...POOL, maximumVolumeJobs: 1, truncateOnPurge: false },
    { ...POOL, name: "Empty" },
  ]);
  server = new RpcServer({ tls: await tlsOf("storaged", "sd"), isRevoked: () => false });
  server.add("Storaged", volumeHandlers(storage), () => true);
  const port = await server.listen("127.0.0.1", 0);
  const expect = { role: "storaged", name: "sd" } as const;
  director = new RpcChannel({ address: "127.0.0.1", port, tls: await tlsOf("director", "dir"), expect });
});
after(async () => {
  director.close();
  await server.close(0);
  await storage.close();
});

// biome-ignore lint/suspicious/noExplicitAny: replies of several kinds
const call = (method: string, request: object): Promise<any> => director.unary("Storaged", method, request);

test("update volume changes what the message has, and nothing else", async () => {
  await storage.desk.label("V", "Full-Pool", "FileDevice", 3);
  const { ok, volume } = await call("UpdateVolume", { volume: "V", maxBytes: 5000, enabled: false });
  assert.equal(ok, true);
  assert.deepEqual(
    [volume.maxBytes, volume.enabled, volume.maxJobs, volume.slot, volume.status, volume.recycle],
    [5000, false, 1, 3, "Append", false],
  );
  const zero = await call("UpdateVolume", {
    volume: "V",
    maxBytes: 0,
    maxJobs: 0,
    enabled: true,
    status: "Used",
  });
  assert.deepEqual([zero.volume.maxBytes, zero.volume.maxJobs, zero.volume.status], [0, 0, "Used"]);
  const refused = await call("UpdateVolume", { volume: "V", status: "Purged" });
  assert.deepEqual([refused.ok, refused.error], [false, "Invalid VolStatus specified: Purged"]);
  const unknown = await call("UpdateVolume", { volume: "Nowhere" });
  assert.equal(unknown.error, 'Volume "Nowhere" is not in the catalog');
  const negative = await call("UpdateVolume", { volume: "V", retention: -1 });
  assert.equal(negative.ok, false);
  const { volumes } = await call("UpdateVolumesFromPool", { pool: "Full-Pool" });
  assert.deepEqual(
    volumes.map((one: { name: string; maxJobs: number }) => [one.name, one.maxJobs]),
    [["V", 1]],
  );
});

test("truncate, relabel and delete over the wire", async () => {
  await call("UpdateVolume", { volume: "V", status: "Append" });
  const run = await storage.backup((fake) => fake.tree({ a: "a" }));
  assert.deepEqual(run.result.volumes, ["V"]);
  const needed = await call("DeleteVolume", { volume: "V" });
  assert.deepEqual([needed.refused, needed.items[0].neededBy], [true, [run.jobId]]);
  const early = await call("Relabel", { volume: "V", newName: "W" });
  assert.match(early.error, /has VolStatus Used\. It must be Purged or Recycle before relabeling\./);
  const none = await call("Truncate", { allPools: true });
  assert.deepEqual(none.messages, ["No Volumes found to perform the command."]);
  const all = { jobIds: [run.jobId], client: "", jobName: "", fileSet: "", beforeMs: 0, limit: 0 };
  await storage.deleter.delete((await storage.catalog.reader.listJobs(all)).map(({ id }) => id));
  await call("UpdateVolume", { volume: "V", truncateOnPurge: true });
  const truncated = await call("Truncate", { volume: "V" });
  assert.deepEqual(truncated.messages, ['The volume "V" has been truncated']);
  assert.equal(truncated.volumes[0].status, "Purged");
  const relabeled = await call("Relabel", { volume: "V", newName: "W" });
  assert.deepEqual([relabeled.ok, relabeled.volumeBytes > 0], [true, true]);
  const deleted = await call("DeleteVolume", { volume: "W", removeFile: true });
  assert.deepEqual([deleted.refused, deleted.messages], [false, ['Volume "W" deleted from the catalog.']]);
});

test("a pool is deleted when nothing is in it", async () => {
  await storage.desk.label("X", "Full-Pool", "FileDevice", 0);
  assert.deepEqual((await call("DeletePool", { pool: "Empty" })).messages, ['Pool "Empty" deleted.']);
  assert.match((await call("DeletePool", { pool: "Full-Pool" })).errors[0], /has 1 Volumes/);
  assert.match((await call("DeletePool", { pool: "Empty" })).errors[0], /not known/);
});
