/** What libvirt's program says about a guest with an agent; a stand-in in its place, since that takes a guest that runs. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { whileFrozen } from "./freeze.js";
import type { FreezeSettings } from "./settings.js";
import { freezeSettings, reporter } from "./testing.js";

/** Keeps the guest's state in the file `state`; `odd` are cases that come before the honest ones. */
function standIn(
  odd = "",
  more: Partial<FreezeSettings> = {},
): { settings: FreezeSettings; calls(): string[] } {
  const directory = scratchDirectory("virsh");
  writeFileSync(join(directory, "state"), "thawed");
  writeFileSync(join(directory, "calls"), "");
  const virsh = join(directory, "virsh");
  const lines = [
    "#!/bin/sh",
    `cd ${directory}; shift 3; echo "$*" >> calls`,
    'case "$1" in',
    odd,
    "domstate) echo running ;;",
    'qemu-agent-command) echo "{\\"return\\":\\"$(cat state)\\"}" ;;',
    "domfsfreeze) echo frozen > state; echo 'Froze 2 filesystem(s)' ;;",
    "domfsthaw) echo thawed > state; echo 'Thawed 2 filesystem(s)' ;;",
    "list) printf 'other\\nkvm-vm-1\\n' ;;",
    "*) echo error: unknown >&2; exit 1 ;;",
    "esac",
  ];
  writeFileSync(virsh, `${lines.join("\n")}\n`, { mode: 0o755 });
  const settings = freezeSettings({ methods: ["libvirt"], virsh, domain: "kvm-%n", ...more });
  return {
    settings,
    calls: () => readFileSync(join(directory, "calls"), "utf8").split("\n").filter(Boolean),
  };
}

test("the guest is frozen, and thawed", async () => {
  const { settings, calls } = standIn();
  const result = await whileFrozen("vm-1", settings, reporter(), async () => calls().at(-1));
  assert.deepEqual(result, { value: "domfsfreeze --domain kvm-vm-1", confirmed: true, how: "guest" });
  assert.equal(calls().at(-1), "domfsthaw --domain kvm-vm-1");
});

test("some file systems are not all", async () => {
  const { settings, calls } = standIn("", { fileSystems: ["/", "/srv"] });
  assert.equal((await whileFrozen("vm-1", settings, reporter(), async () => 1)).confirmed, false);
  assert.ok(calls().includes("domfsfreeze --domain kvm-vm-1 --mountpoint / --mountpoint /srv"));
});

test("a machine that is off is as good as paused, and nothing is done to it", async () => {
  const { settings, calls } = standIn("domstate) echo shut off ;;");
  assert.equal((await whileFrozen("vm-1", settings, reporter(), async () => 1)).how, "paused");
  assert.deepEqual(calls(), ["domstate --domain kvm-vm-1"]);
});

test("a guest that somebody else has frozen stays so", async () => {
  const { settings, calls } = standIn(`qemu-agent-command) echo '{"return":"frozen"}' ;;`);
  assert.equal((await whileFrozen("vm-1", settings, reporter(), async () => 1)).how, "no");
  assert.ok(!calls().some((call) => call.startsWith("domfs")));
});

test("a freeze without an end is ended, and thawed", async () => {
  const { settings, calls } = standIn("domfsfreeze) echo frozen > state; sleep 600 ;;", {
    stepTimeoutSec: 3,
  });
  const { said, report } = reporter();
  assert.equal((await whileFrozen("vm-1", settings, { report }, async () => 1)).how, "no");
  assert.match(said[0]!, /did not end within 3 seconds/);
  assert.equal(calls().at(-1), "domfsthaw --domain kvm-vm-1");
});

test("words where a number should be are no freeze", async () => {
  const { settings } = standIn("domfsfreeze) echo all is well ;;");
  const { said, report } = reporter();
  assert.equal((await whileFrozen("vm-1", settings, { report }, async () => 1)).how, "no");
  assert.match(said[0]!, /says "all is well" where/);
});

test("a machine that ends while it is frozen needs no thaw", async () => {
  const gone = "domfsthaw) echo error: no domain >&2; exit 1 ;;\nlist) echo other ;;";
  const { settings } = standIn(gone);
  const result = await whileFrozen("vm-1", settings, reporter(), async () => 1);
  assert.deepEqual(result, { value: 1, confirmed: false, how: "no" });
});
