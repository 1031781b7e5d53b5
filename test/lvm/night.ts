/**
 * A night of backups: director, storage daemon and a file daemon for restores on the host, one more in a hypervisor of User
 * Mode Linux with two virtual machines on real logical volumes. `web` has two file systems on thick volumes and a guest agent,
 * and is backed up file by file; `db` has two disks on thin volumes, is held by stopping its service, and is backed up as
 * images. Both write all the time: a number to their first disk, then the same to the second.
 */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DirectorDb, databaseFile } from "../../director/db/database.js";
import { Installation } from "../helpers/installation.js";
import { MoreClients } from "../helpers/more-clients.js";
import { portAnswers } from "../helpers/ports.js";
import { REPOSITORY } from "../helpers/root.js";
import { until } from "../helpers/running.js";
import { removeTree } from "../helpers/tree-ops.js";
import {
  ADDRESS,
  configure,
  makeOriginals,
  type NightOptions,
  type Originals,
  WEB,
  WEB_OFFSETS,
} from "./night-site.js";
import { MACHINE_ADDRESS, Uml } from "./uml.js";

const GUESTS = join(REPOSITORY, "test", "lvm", "guests.py");
/** Never all: the agent is one of the same kernel as the file daemon. */
const BLOCKED = "guest-fsfreeze-freeze,guest-shutdown,guest-exec,guest-set-user-password";

/** See above. Call close() in the end. */
export class Night {
  readonly machine: Uml;
  readonly installation: Installation;
  readonly originals: Originals;
  readonly #restores: MoreClients;

  private constructor(made: {
    machine: Uml;
    installation: Installation;
    originals: Originals;
    restores: MoreClients;
  }) {
    this.machine = made.machine;
    this.installation = made.installation;
    this.originals = made.originals;
    this.#restores = made.restores;
  }

  /** Everything is there; nothing runs but the machine. To be called in the namespace of `joinTestNetwork`. */
  static async create(options: NightOptions): Promise<Night> {
    const machine = await Uml.create({ address: MACHINE_ADDRESS, diskMib: 512 });
    try {
      const originals = makeOriginals(options, machine.dir);
      const installation = await Installation.create(machine.path("site"), { name: "t" });
      installation.keepConsole();
      // The one for restores is made first: it has none of what the hypervisor's has.
      const restores = await MoreClients.create(installation, { count: 1 });
      await configure(installation, options);
      const night = new Night({ machine, installation, originals, restores });
      await machine.boot();
      await night.#makeVolumes();
      await restores.start(0);
      await installation.start("storaged");
      return night;
    } catch (error) {
      await machine.close();
      throw error;
    }
  }

  async #makeVolumes(): Promise<void> {
    const { web, db } = this.originals;
    const fill = [
      ...web.map((file, index) => [file, `vm_web-disk${index + 1}`]),
      ...db.map((file, index) => [file, `vm_db-disk${index + 1}`]),
    ];
    await this.machine.run(
      `set -e
      vgcreate -q kvm-01 /dev/ubda
      lvcreate -q -L 40M -n vm_web-disk1 kvm-01; lvcreate -q -L 24M -n vm_web-disk2 kvm-01; lvcreate -q -L 8M -n vm_web-swap1 kvm-01
      lvcreate -q -L 96M -T kvm-01/thin
      for n in 1 2; do lvcreate -q -V 32M -T kvm-01/thin -n vm_db-disk$n; done
      ${fill.map(([file, name]) => `dd if=${file} of=/dev/kvm-01/${name} bs=1M conv=sparse,notrunc status=none`).join("\n")}
      sync`,
    );
  }

  /** Starts the virtual machines: file systems, agent and writers. After a kill of the machine their disks are as they were. */
  async startGuests(): Promise<void> {
    await this.machine.run(
      `set -e
      mkdir -p ${WEB}
      mount_disk() { loop=$(losetup --direct-io=on --offset $2 -f --show /dev/kvm-01/vm_web-disk$1); mount $loop $3; }
      mount_disk 1 ${WEB_OFFSETS[0]} ${WEB}; mount_disk 2 ${WEB_OFFSETS[1]} ${WEB}/srv
      quietly() { setsid "$@" </dev/null >/dev/null 2>&1 & }
      quietly qemu-ga -m unix-listen -p /run/web.agent -t /run -l /run/web.agent.log -b ${BLOCKED}
      quietly python3 ${GUESTS} files ${WEB} ${WEB}/srv
      quietly python3 ${GUESTS} blocks /dev/kvm-01/vm_db-disk1 /dev/kvm-01/vm_db-disk2 /run/db.hold
      until [ -S /run/web.agent ] && [ -s ${WEB}/srv/log ]; do sleep 0.1; done`,
    );
  }

  /** Starts the hypervisor's file daemon. */
  async startFiled(): Promise<void> {
    const { machine } = this;
    const config = join(this.installation.dir, "filed.yaml");
    await machine.run(
      `setsid ${REPOSITORY}/basalt filed -c ${config} </dev/null >>${machine.path("filed.log")} 2>&1 &
      echo $! >${machine.path("filed.pid")}`,
    );
    await until(
      "the hypervisor's file daemon",
      () => portAnswers(this.installation.portBase + 1, ADDRESS),
      900_000,
    );
  }

  /** `-KILL`, or another option of kill; waits for the end. */
  async endFiled(signal: string): Promise<void> {
    await this.machine.run(
      `read -r pid <${this.machine.path("filed.pid")}; kill ${signal} $pid
      # The first process of the machine does not ask how others' children ended.
      while read -r _ _ state _ <"/proc/$pid/stat" && [ "$state" != Z ]; do sleep 0.1; done 2>/dev/null`,
    );
  }

  /** Starts the director, which finds that it was away when the night's jobs were due. */
  async startNight(): Promise<void> {
    const db = DirectorDb.open(databaseFile(join(this.installation.dir, "var", "director")));
    db.setCounter("scheduled_to_ms", Date.now() - 3 * 3_600_000);
    db.close();
    await this.installation.start("director");
    await this.installation.waitReady();
  }

  /** What the hypervisor's file daemon has printed. */
  get filedLog(): string {
    const file = this.machine.path("filed.log");
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  }

  /** Snapshots, mounts of snapshots and loop devices on them that are in the hypervisor. */
  async remains(): Promise<string[]> {
    const { output } = await this.machine.run(
      `lvs --noheadings -o lv_name -S 'lv_name=~"^snap_"' kvm-01
      while read -r _ _ _ _ place _; do case $place in /run/basalt/*) echo $place ;; esac; done </proc/self/mountinfo
      losetup -nO NAME,BACK-FILE | grep snap_ || true`,
    );
    return output
      .split("\n")
      .map((line) => line.trim())
      .filter(Boolean);
  }

  /** Numbers that the guests are at: web's and db's. */
  async generations(): Promise<[number, number]> {
    const { output } = await this.machine.run(
      `tail -n 1 ${WEB}/srv/log; dd if=/dev/kvm-01/vm_db-disk2 bs=4096 count=1 iflag=direct status=none | head -c 12`,
    );
    const [web, db] = output.split("\n").map(Number);
    return [web!, db!];
  }

  /** Restores jobs on the host; the directory. */
  async restore(jobId: number): Promise<string> {
    const where = this.machine.path(`restored-${jobId}`);
    const report = await this.installation.restore({
      where,
      jobIds: [jobId],
      words: `restoreclient=${this.#restores.name(0)}`,
    });
    if (report.termination !== "Restore OK") throw new Error(report.report);
    return where;
  }

  /** Ends everything and removes it. */
  async close(): Promise<void> {
    await this.#restores.stop();
    await this.installation.stop();
    await this.machine.kill();
    if (!process.env.BASALT_KEEP) await removeTree(this.installation.dir);
    await this.machine.close();
  }
}
