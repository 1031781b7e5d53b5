import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { ConfigError } from "../../common/config/diagnostics.js";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { type FiledConfig, loadFiledConfig } from "../config.js";
import { settingsFor, snapshotContext } from "./context.js";

function load(snapshot: string): FiledConfig {
  const file = join(scratchDirectory("snapshot-config"), "filed.yaml");
  const daemon =
    "{Name: a-fd, WorkingDirectory: var, Directors: a-dir, TLS: {CaFile: a, CertFile: b, KeyFile: c}}";
  writeFileSync(file, `FileDaemon: ${daemon}\nSnapshot: ${snapshot}\n`);
  return loadFiledConfig(file);
}

test("defaults, and the first resource that fits a machine's name", () => {
  const config = load(
    "[{Name: db, Provider: lvm-thin, VM: [db-*, mail], Size: 5 GB, Mount: {}}, {Name: rest, Provider: lvm}]",
  );
  const context = snapshotContext(config, () => undefined);
  const names = ["db-1", "mail", "db", "mail2", "xdb-1"].map((vm) => settingsFor(vm, context).name);
  assert.deepEqual(names, ["db", "db", "rest", "rest", "rest"]);
  const [db, rest] = config.snapshots;
  assert.deepEqual(db?.provider, { kind: "lvm", volumeGroup: hostname(), thinOnly: true });
  assert.deepEqual([db?.room, rest?.room], [{ bytes: 5e9 }, { percent: 15 }]);
  assert.equal(rest?.pattern, "vm_%n-disk*");
  assert.deepEqual([db?.mount?.directory, rest?.mount], ["/run/basalt/mnt", undefined]);
  assert.throws(() => settingsFor("x", { ...context, snapshots: [] }), { code: "SNAPSHOT_NOT_CONFIGURED" });
  assert.throws(() => settingsFor("x", { ...context, snapshots: [db!] }), /no Snapshot resource .* is for x/);
});

test("what cannot be meant is refused with its place", () => {
  const refused = (snapshot: string, text: RegExp): void => {
    assert.throws(
      () => load(snapshot),
      (error) =>
        error instanceof ConfigError && text.test(error.diagnostics.map(({ message }) => message).join("\n")),
      snapshot,
    );
  };
  refused("{Name: a}", /needs the directive Provider/);
  refused("{Name: a, Provider: zfs}", /"zfs" is not one of lvm, lvm-thin, btrfs/);
  for (const size of ["0", "0%", "101%", "15 %%", "-1G"])
    refused(`{Name: a, Provider: lvm, Size: "${size}"}`, /Size in/);
  refused("{Name: a, Provider: lvm, Pattern: vm_disk*}", /needs %n once/);
  refused("{Name: a, Provider: lvm, VolumeGroup: ../x}", /no name of a volume group/);
  refused("{Name: a, Provider: lvm, VM: [a/b]}", /no name of a virtual machine/);
  refused("{Name: a, Provider: xfs}", /needs the directive Directory/);
  refused(
    "{Name: a, Provider: xfs, Directory: /x, VolumeGroup: v}",
    /VolumeGroup in .* is for Provider lvm, lvm-thin/,
  );
  refused("{Name: a, Provider: command, CreateCommand: a}", /needs the directive RemoveCommand/);
  refused("{Name: a, Provider: command, CreateCommand: a, RemoveCommand: b}", /HookDirectories only/);
  refused("{Name: a, Provider: lvm, Freeze: {Method: agent}}", /AgentSocket/);
});
