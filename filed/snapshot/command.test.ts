/** Snapshots by programs of the operator. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { checkJobSnapshots } from "./check.js";
import { createSnapshots } from "./create.js";
import { removeSnapshots } from "./remove.js";
import type { SnapshotSettings } from "./settings.js";
import { snapshotSettings, testContext } from "./testing.js";

const job = { uuid: "u-1", id: 7 };

/** Programs that keep their snapshots in a directory; `more` is done by `make` at its end. */
function setUp(more = ""): ReturnType<typeof testContext> & { place: string; log: () => string } {
  const place = scratchDirectory("disks");
  const hooks = scratchDirectory("hooks");
  const script = (name: string, text: string): void =>
    writeFileSync(join(hooks, name), `#!/bin/sh\necho "${name} $*" >>${place}/log\n${text}\n`, {
      mode: 0o755,
    });
  script(
    "make",
    `for n in 2 10; do echo "$1" >"${place}/$1-$n"; echo "$n  ${place}/$1-$n ro"; done\n${more}`,
  );
  script("drop", `rm -f ${place}/"$1"-*`);
  script("look", `[ ! -e ${place}/bad ] || { echo 'pool is broken' >&2; exit 1; }`);
  const words = { create: ["make", "%n"], remove: ["drop", "%n"], check: ["look", "%n"], timeoutSec: 60 };
  const settings: SnapshotSettings = snapshotSettings({ kind: "command", ...words });
  const log = (): string => readFileSync(join(place, "log"), "utf8");
  return { ...testContext([settings], [hooks]), place, log };
}

test("disks that a program names, looked at in the end, removed", async () => {
  const context = setUp();
  context.jobs.begin(job.uuid);
  const { disks } = await createSnapshots("web", context, { job, mount: true });
  assert.deepEqual(
    disks.map(({ number, device, writable }) => [number, device, writable]),
    [2, 10].map((number) => [number, join(context.place, `web-${number}`), false]),
  );
  await checkJobSnapshots(context, job.uuid);
  writeFileSync(join(context.place, "bad"), "");
  await assert.rejects(checkJobSnapshots(context, job.uuid), /is no good: look web failed: pool is broken/);
  await removeSnapshots("web", context, job);
  assert.ok(!existsSync(join(context.place, "web-2")));
  await createSnapshots("db", context, { job, mount: false }).catch(() => undefined);
  assert.match(context.log(), /^make web\n/);
});

test("a program that fails, or says what cannot be, leaves nothing", async () => {
  const cases: [string, RegExp][] = [
    ["echo 'no more space' >&2; exit 3", /make web failed: no more space/],
    ["echo 'done!'", /a line of CreateCommand is not NUMBER \/PATH \[ro\]: "done!"/],
    ["echo '3 /no/such/disk'", /names nothing that is there/],
  ];
  for (const [more, expected] of cases) {
    const context = setUp(more);
    await assert.rejects(createSnapshots("web", context, { mount: false }), expected);
    assert.match(context.log(), /\ndrop web\n$/);
    assert.ok(!existsSync(join(context.place, "web-2")));
    assert.deepEqual(
      context.said.filter((line) => line.includes("could not be removed")),
      [],
    );
  }
  const outside = setUp();
  await assert.rejects(createSnapshots("web", { ...outside, hookDirectories: [] }, { mount: false }), {
    code: "HOOK_FORBIDDEN",
  });
  assert.ok(!existsSync(join(outside.place, "log")));
});
