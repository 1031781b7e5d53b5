import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { decodeBlock } from "../../common/format/row-block.js";
import { BackupKind, decodeJson, encodeJson, encodeList } from "../../proto/data/backup.js";
import type { DataStream } from "../../proto/rpc.js";
import { TestStorage } from "./testing.js";

let storage: TestStorage;
before(async () => {
  storage = await new TestStorage().open();
  await storage.backup((fake) => fake.tree({ "etc/passwd": "root" }, ["etc"]));
});
after(() => storage.close());

/** An Incremental whose lists go apart; `take` is filed's end of their call. */
function backup(take: (lists: DataStream) => Promise<void>, beside = async () => undefined) {
  let took: Promise<void> = Promise.resolve();
  const listsApart = (lists: DataStream): void => {
    took = take(lists);
  };
  return storage.backup(
    async (fake) => {
      assert.equal(fake.start.listsApart, true);
      await Promise.all([took, beside()]);
      await fake.end();
    },
    { level: "Incremental", listsApart },
  );
}

test("where filed takes lists apart, their first blocks come without a credit", async () => {
  const seen: (string | number)[] = [];
  const run = await backup(async (lists) => {
    for await (const message of lists.incoming) {
      if (message[0] === BackupKind.lists) seen.push(decodeJson<{ ticket: string }>(message).ticket);
      else if (message[0] === BackupKind.listBlock)
        seen.push(...decodeBlock(message.subarray(2)).map(({ key }) => key));
      else seen.push(message[0]!);
      if (message[0] === BackupKind.listEnd) return;
    }
  });
  assert.equal(run.result.ok, true, run.result.reason);
  assert.deepEqual(seen, ["t", "etc", "etc\0passwd", BackupKind.listEnd]);
});

test("nonsense among credits fails the job", async () => {
  const never = () => new Promise<undefined>(() => undefined);
  const run = await backup(async (lists) => {
    await lists.send(encodeList(BackupKind.listCredit, 7, Buffer.of(1)));
  }, never);
  assert.match(run.result.reason!, /credit for a list that does not exist/);
  const other = await backup(async (lists) => {
    await lists.send(encodeJson(BackupKind.hello, {}));
  }, never);
  assert.match(other.result.reason!, /garbled credit/);
});

test("a call that ends when all lists were sent does not matter", async () => {
  const run = await backup(async (lists) => {
    for await (const message of lists.incoming) if (message[0] === BackupKind.listEnd) break;
    lists.destroy();
  });
  assert.equal(run.result.ok, true, run.result.reason);
});
