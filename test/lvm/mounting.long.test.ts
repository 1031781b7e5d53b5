/** Disks as block devices, and the file system of EFI partitions, which not every test machine's kernel has. */
import assert from "node:assert/strict";
import { copyFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { MIB } from "../../filed/image/maps/testing.js";
import { makeDisk } from "../../filed/mount/testing.js";
import { REPOSITORY } from "../helpers/root.js";
import { hasUml, Uml } from "./uml.js";

const FSTAB = "PARTLABEL=root / xfs defaults\nLABEL=ESP /boot/efi vfat umask=0077 0 1\n";

test("a machine with an EFI partition on a block device", async (t) => {
  if (!hasUml(t)) return;
  const esp = { kind: "vfat", options: ["-n", "ESP"] } as const;
  const root = { kind: "xfs", files: { "etc/fstab": FSTAB, "boot/efi/": "" } } as const;
  const machine = await Uml.create();
  try {
    copyFileSync(makeDisk("gpt", [esp, root], ["", ', name="root"']), machine.path("disk.img"));
    const program = `
      import { readFileSync } from "node:fs";
      import { toMountSettings } from ${JSON.stringify(join(REPOSITORY, "build/filed/mount/config.js"))};
      import { mountVm } from ${JSON.stringify(join(REPOSITORY, "build/filed/mount/mount-vm.js"))};
      import { unmountVm } from ${JSON.stringify(join(REPOSITORY, "build/filed/mount/unmount-vm.js"))};
      const settings = toMountSettings();
      const tools = { confirmedFreeze: false, report: console.log };
      await mountVm("efi", [{ number: 1, device: "/dev/ubda", writable: true }], settings, tools);
      const text = readFileSync("/run/basalt/mnt/efi/boot/efi/EFI/größer.txt", "utf8");
      console.log("read:", text, readFileSync("/proc/mounts", "utf8").match(/.*vfat.*/)[0]);
      await unmountVm("efi", settings, tools);
    `;
    writeFileSync(machine.path("mount.mjs"), program);
    await machine.boot();
    const { output } = await machine.run(
      `mkdir /tmp/esp; mount -o loop,offset=${MIB},sizelimit=${32 * MIB},utf8 /dev/ubda /tmp/esp
      mkdir /tmp/esp/EFI; echo -n loader >/tmp/esp/EFI/größer.txt; umount /tmp/esp
      node mount.mjs; losetup -a; ls /run/basalt/mnt; echo end`,
    );
    assert.match(output, /\/boot\/efi is disk 1 partition 1 \(vfat\)\n/);
    assert.match(
      output,
      /read: loader \/dev\/loop\d+ \/run\/basalt\/mnt\/efi\/boot\/efi vfat ro,nosuid,nodev,noexec/,
    );
    assert.match(output, /ro,nosuid.*\nend\n$/, "nothing is left");
  } finally {
    await machine.close();
  }
});
