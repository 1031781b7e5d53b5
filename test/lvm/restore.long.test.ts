/** `basalt restore-vm` with real logical volumes: made when missing, sizes, what is in use, images and files. */
import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { stringify } from "yaml";
import { Installation } from "../helpers/installation.js";
import { REPOSITORY } from "../helpers/root.js";
import { HOST_ADDRESS, hasUml, joinTestNetwork, MACHINE_ADDRESS, Uml } from "./uml.js";

const MIB = 1024 * 1024;
const MODULES = ["dm-snapshot", "dm-thin-pool", "loop", "vfat", "nls_cp437", "nls_ascii", "nls_iso8859-1"];
const MACHINE = MACHINE_ADDRESS.split("/")[0]!;
const SLOW_MS = 900_000;
const ROOT_UUID = "0f3b6a52-1111-4000-8000-0123456789ab";
const SRV_UUID = "1f3b6a52-1111-4000-8000-0123456789ab";

describe("machines restored onto logical volumes", () => {
  let machine: Uml | undefined;
  let installation: Installation | undefined;

  const path = (name: string): string => machine!.path(name);
  const run = async (script: string, status = 0): Promise<string> =>
    (await machine!.run(script, { status, timeoutMs: SLOW_MS })).output;
  /** In the machine. */
  const restoreVm = (words: string, status = 0): Promise<string> =>
    run(`${join(REPOSITORY, "basalt")} restore-vm ${words}`, status);
  const console = (): string => `-c ${path("site/machine-console.yaml")}`;
  const plan = async (name: string, Disk: object[], JobId = 1): Promise<string> => {
    const VM = { Name: "web1", Client: "t-fd", JobId, Disk };
    await writeFile(path(name), stringify({ VM }));
    return path(name);
  };
  const digest = (device: string, bytes: number): Promise<string> =>
    run(`head -c ${bytes} ${device} | sha256sum`);

  before(async () => {
    await joinTestNetwork().catch(() => undefined);
    machine = await Uml.create({
      address: MACHINE_ADDRESS,
      diskMib: 1024,
      memoryMib: 1024,
      modules: MODULES,
    });
    installation = await Installation.create(machine.path("site"), { name: "t" });
    const everywhere = (text: string): string => text.replace(/^( +Address:) 127.0.0.1/m, "$1 0.0.0.0");
    await installation.editConfig("director", (text) =>
      everywhere(text)
        .replace(/(Client:\n(?: .*\n| *\n)*? +Address:) \S+/, `$1 ${MACHINE}`)
        .replace(/(Storage:\n(?: .*\n| *\n)*? +Address:) \S+/, `$1 ${HOST_ADDRESS}`),
    );
    await installation.editConfig("storaged", everywhere);
    await installation.editConfig("filed", everywhere);
    const text = await readFile(machine.path("site/console.yaml"), "utf8");
    await writeFile(machine.path("site/machine-console.yaml"), text.replace("127.0.0.1", HOST_ADDRESS));
    const common = { Client: "t-fd", Storage: "File", Messages: "Standard", Pool: "Default", Level: "Full" };
    await installation.writeResources("web1", {
      FileSet: [
        { Name: "image", Include: { Image: ["/dev/kvm-01/snap_vm_web1-disk1"] } },
        { Name: "files", Include: { Root: "/run/web1", File: ["/"], Options: { OneFs: "no" } } },
      ],
      Job: ["image", "files"].map((name) => ({ Name: name, Type: "Backup", FileSet: name, ...common })),
    });
    await machine.boot();
    await installation.start("storaged");
    await installation.start("director");
    await run(`cd site && ${join(REPOSITORY, "basalt")} filed -c filed.yaml >filed.log 2>&1 9<&- &
      until (echo >/dev/tcp/${MACHINE}/${installation.portBase + 1}) 2>/dev/null; do sleep 1; done`);
    await installation.waitReady();
    await run(`vgcreate -q kvm-01 /dev/ubda
      lvcreate -q -y -L 64M -n vm_web1-disk1 kvm-01
      printf 'label: gpt\\nsize=1MiB, type=uefi\\nsize=40MiB\\nsize=8MiB, type=S\\n' |
        sfdisk -q --no-reread --no-tell-kernel /dev/kvm-01/vm_web1-disk1
      part() { losetup --find --show --offset $(($1 * 1048576)) --sizelimit $(($2 * 1048576)) /dev/kvm-01/vm_web1-disk1; }
      efi=$(part 1 1) root=$(part 2 40) swap=$(part 42 8)
      mkfs.vfat -i AB12CD34 $efi >/dev/null && mkfs.ext4 -q -U ${ROOT_UUID} $root && mkswap -q $swap
      mkdir /run/web1 && mount $root /run/web1 && mkdir -p /run/web1/boot/efi /run/web1/etc && mount $efi /run/web1/boot/efi
      cp -a /usr/share/zoneinfo/Europe /run/web1/srv && cp /etc/services /run/web1/etc/ && ln /run/web1/etc/services /run/web1/etc/link
      echo loader >/run/web1/boot/efi/LOADER && setfattr -n user.x -v y /run/web1/etc/link && truncate -s 5M /run/web1/etc/sparse
      printf 'UUID=${ROOT_UUID} / ext4 defaults 0 1\\nUUID=AB12-CD34 /boot/efi vfat umask=0077 0 2\\n' >/run/web1/etc/fstab
      sync; lvcreate -q -y -s -L 16M -n snap_vm_web1-disk1 kvm-01/vm_web1-disk1 && sha256sum </dev/kvm-01/snap_vm_web1-disk1 >image.sum`);
  });
  after(async () => {
    await machine?.close();
    await installation?.stop();
  });

  test("an image onto a volume that is missing, too small, larger, thin, mounted, or without room", async (t) => {
    if (!hasUml(t)) return;
    const report = await installation!.runJob("image", { timeoutMs: SLOW_MS });
    assert.equal(report.termination, "Backup OK", report.report);
    await run("lvremove -q -y kvm-01/snap_vm_web1-disk1");
    const sum = await readFile(path("image.sum"), "utf8");
    const drafted = await restoreVm(`images web1 --jobid ${report.jobId} --client t-fd ${console()}`);
    assert.match(drafted, new RegExp(`Device: /dev/kvm-01/vm_web1-disk1\\n +Size: ${64 * MIB}\\n`));

    // The guest's disk as it is, mounted: never.
    await writeFile(path("plan"), drafted);
    const used = await restoreVm(`run plan ${console()}`, 1);
    assert.match(used, /vm_web1-disk1 is in use: attached to \/dev\/loop\d, attached to/);

    await writeFile(path("plan"), drafted.replace("/vm_web1-disk1", "/vm_web2-disk1"));
    assert.match(
      await restoreVm("check plan"),
      /missing: made by lvcreate .*--name vm_web2-disk1 .*--size 67108864b kvm-01/,
    );
    assert.match(await run("lvs --noheadings -o lv_name kvm-01"), /^\s*vm_web1-disk1\s*$/);
    assert.match(await restoreVm(`run plan ${console()}`), /made \/dev\/kvm-01\/vm_web2-disk1/);
    assert.equal(await digest("/dev/kvm-01/vm_web2-disk1", 64 * MIB), sum);

    const disk = { Size: 64 * MIB, Image: "/dev/kvm-01/snap_vm_web1-disk1" };
    await run("lvcreate -q -y -L 32M -n small kvm-01; lvcreate -q -y -L 96M -n large kvm-01");
    const small = await plan("small", [{ ...disk, Device: "/dev/kvm-01/small" }], report.jobId);
    const told = await restoreVm(`run ${small} ${console()}`, 1);
    assert.match(told, /\/dev\/kvm-01\/small is too small: it has 33,554,432 bytes, 67,108,864 are needed/);
    const large = await plan("large", [{ ...disk, Device: "/dev/kvm-01/large" }], report.jobId);
    assert.match(
      await restoreVm(`run ${large} ${console()}`),
      /larger than the plan's Size by 33,554,432 bytes/,
    );
    assert.equal(await digest("/dev/kvm-01/large", 64 * MIB), sum);

    await run("lvchange -q -an kvm-01/large");
    const inactive = await restoreVm(`check ${large}`, 1);
    assert.match(inactive, /large exists, but is not active: lvchange -ay kvm-01\/large/);

    await run("lvcreate -q -y -T -L 128M kvm-01/pool");
    const thin = await plan(
      "thin",
      [{ ...disk, Device: "/dev/kvm-01/thin", ThinPool: "pool" }],
      report.jobId,
    );
    await restoreVm(`run ${thin} ${console()}`);
    assert.equal(await digest("/dev/kvm-01/thin", 64 * MIB), sum);
    assert.match(await run("lvs --noheadings -o pool_lv kvm-01/thin"), /^\s*pool\s*$/);

    const two = [1, 2].map((n) => ({ Device: `/dev/kvm-01/big${n}`, Size: "400m", Image: `/x${n}` }));
    assert.match(
      await restoreVm(`check ${await plan("big", two)}`, 1),
      /no room for \/dev\/kvm-01\/big\d of .* bytes are missing/,
    );
    await run("dmsetup create --noudevsync --noudevrules inner --table '0 8192 linear /dev/kvm-01/small 0'");
    const inner = await plan("inner", [
      { ...disk, Size: 4096, Device: "/dev/kvm-01/small", Overwrite: "yes" },
    ]);
    assert.match(await restoreVm(`check ${inner}`, 1), /small is in use: part of dm-\d+ \(LVM/);
    await run(
      "dmsetup remove --noudevsync inner && lvremove -q -y kvm-01/small kvm-01/large kvm-01/thin kvm-01/pool kvm-01/vm_web2-disk1",
    );
  });

  test("files by the plan that describe wrote, onto two volumes that are missing; by a console, with an EFI partition", async (t) => {
    if (!hasUml(t)) return;
    const drafted = await restoreVm("describe web1 /dev/kvm-01/vm_web1-disk1 --root /run/web1 --client t-fd");
    assert.match(drafted, /Filesystem: vfat\n +UUID: AB12-CD34\n(?:.*\n)? +Mount: \/boot\/efi\n/);
    const report = await installation!.runJob("files", { timeoutMs: SLOW_MS });
    assert.equal(report.termination, "Backup OK", report.report);
    const more = `    - Device: /dev/kvm-01/vm_web3-disk2
      Size: 20m
      Table: none
      Partition: [{Filesystem: ext4, UUID: ${SRV_UUID}, Mount: /srv}]
  JobId: ${report.jobId}\n`;
    await writeFile(path("plan"), drafted.replace("/vm_web1-disk1", "/vm_web3-disk1") + more);
    const output = await restoreVm(`run plan ${console()}`);
    assert.match(output, /no line of \/etc\/fstab mounts \/srv/);
    assert.match(output, /web1 is restored\n$/);
    // The guest's own disk is as it was: three loop devices.
    const left = await run(
      "losetup --list --noheadings --output BACK-FILE; ls /run/basalt/restore/web1 2>&1; true",
    );
    assert.match(left, /^(\S*web1--disk1\n){3}ls: .*No such file/);
    assert.doesNotMatch(await run("cat /proc/self/mountinfo"), /basalt\/restore/);
    const differences = await run(`disk=/dev/kvm-01/vm_web3-disk1; mkdir /run/look
      for n in 1 2; do losetup --find --show --offset $(sfdisk --json $disk | sed -n 's/.*"start": *\\([0-9]*\\).*/\\1/p' |
        sed -n \${n}p | while read -r s; do echo $((s * 512)); done) $disk; done >loops
      mount -o ro $(sed -n 2p loops) /run/look && mount -o ro $(sed -n 1p loops) /run/look/boot/efi
      mount -o ro /dev/kvm-01/vm_web3-disk2 /run/look/srv
      rsync -aHAXn --delete --itemize-changes --exclude=/lost+found --exclude=/srv/lost+found /run/web1/ /run/look/
      umount /run/look/srv /run/look/boot/efi /run/look; for each in $(cat loops); do losetup -d $each; done; rm loops`);
    // A directory that is a mount point has a lost+found of its own now.
    assert.equal(differences.replace(/^\.d\.\.t\S+ (srv|boot\/efi|\.)\/\n/gm, ""), "");
  });
});
