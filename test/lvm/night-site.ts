/** What a night's machines are made of, and what the daemons are told of them; see night.ts. */
import { execFileSync } from "node:child_process";
import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { stringify } from "yaml";
import { makeDisk, makeFileSystem } from "../../filed/mount/testing.js";
import type { Installation } from "../helpers/installation.js";
import { MACHINE_ADDRESS } from "./uml.js";

const MIB = 1024 * 1024;
/** Of the hypervisor. */
export const ADDRESS = MACHINE_ADDRESS.replace(/\/.*/, "");
const FSTAB =
  "/dev/vda1 / ext4 errors=remount-ro 0 1\n/dev/vdb /srv ext4 defaults 0 2\n/dev/vdc none swap sw 0 0\n";
/** Where web's file systems lie on its disks. */
export const WEB_OFFSETS = [MIB, 0] as const;
/** Where web runs. */
export const WEB = "/run/guest/web";

/** What the machines were made of: a disk image of each of their disks. */
export interface Originals {
  readonly web: readonly [string, string];
  readonly db: readonly [string, string];
}

export interface NightOptions {
  /** Text files of web by path, without `/etc/fstab`; those below `srv/` are on the second disk. */
  readonly files: Readonly<Record<string, string>>;
  /** Content of db's disks behind their first block. */
  readonly blocks: Buffer;
  /** Further directives of the jobs. */
  readonly job?: Readonly<Record<string, Record<string, unknown>>>;
  /** Options of the FileSet of web. */
  readonly options?: Readonly<Record<string, string>>;
}

/** In the shared directory: the machine sees no other file that is new. */
export function makeOriginals({ files, blocks }: NightOptions, directory: string): Originals {
  const isSrv = (path: string): boolean => path.startsWith("srv/");
  const root = Object.entries(files).filter(([path]) => !isSrv(path));
  const srv = Object.entries(files)
    .filter(([path]) => isSrv(path))
    .map(([path, text]) => [path.slice(4), text]);
  const common = { kind: "ext4", options: ["-b", "4096", "-O", "^resize_inode"] } as const;
  const disk1 = makeDisk("gpt", [
    makeFileSystem({
      ...common,
      size: 36 * MIB,
      files: { ...Object.fromEntries(root), "etc/fstab": FSTAB, "srv/": "", log: "" },
    }),
  ]);
  const disk2 = makeFileSystem({ ...common, size: 24 * MIB, files: { ...Object.fromEntries(srv), log: "" } });
  const db = ["db-1", "db-2"].map((name) => {
    const file = makeFileSystem({ kind: "none", size: 32 * MIB });
    execFileSync("dd", [`of=${file}`, "bs=1M", "seek=4", "conv=notrunc", "status=none"], {
      input: Buffer.concat([blocks, Buffer.from(name)]),
    });
    return file;
  });
  const shared = (file: string, name: string): string => {
    execFileSync("cp", ["--sparse=always", file, join(directory, name)]);
    return join(directory, name);
  };
  return {
    web: [shared(disk1, "web-1"), shared(disk2, "web-2")],
    db: [shared(db[0]!, "db-1"), shared(db[1]!, "db-2")],
  };
}

/** Files, hooks and resources of the installation. */
export async function configure(
  installation: Installation,
  options: Pick<NightOptions, "job" | "options">,
): Promise<void> {
  const hooks = join(installation.dir, "hooks");
  await mkdir(hooks, { recursive: true });
  const script = async (name: string, ...lines: string[]): Promise<void> => {
    await writeFile(join(hooks, name), `#!/bin/bash\n${lines.join("\n")}\n`);
    await chmod(join(hooks, name), 0o755);
  };
  await script("service-stop", "touch /run/$1.hold", "until [ -e /run/$1.hold.held ]; do sleep 0.1; done");
  await script("service-start", "rm -f /run/$1.hold", "while [ -e /run/$1.hold.held ]; do sleep 0.1; done");
  const limits = { Timeout: "10 minutes", StepTimeout: "5 minutes", Required: "yes" };
  const Snapshot = [
    {
      ...{ Name: "files", Provider: "lvm", VM: "web", Size: "25%", Mount: { TimeLimit: "20 minutes" } },
      Freeze: { Method: "agent", AgentSocket: "/run/%n.agent", FileSystems: [WEB, `${WEB}/srv`], ...limits },
    },
    {
      ...{ Name: "images", Provider: "lvm-thin", VM: "db" },
      Freeze: {
        Method: "command",
        Services: [{ Stop: "service-stop %n", Start: "service-start %n" }],
        ...limits,
      },
    },
  ];
  await installation.editConfig(
    "filed",
    (text) => `${text.replace(/^ {2}Address: \S+/m, "  Address: 0.0.0.0")}\n${stringify({ Snapshot })}`,
  );
  await installation.editConfig("director", (text) =>
    text.replace(/( - Name: t-fd\n +Address: )127\.0\.0\.1/, `$1${ADDRESS}`),
  );
  await installation.writeResources("night", nightResources(options));
}

/** The two jobs, by a schedule whose time was ten minutes ago. */
function nightResources({ job = {}, options = {} }: Pick<NightOptions, "job" | "options">) {
  const due = new Date(Date.now() - 600_000);
  const jobs = ["web", "db"].map((name) => ({
    ...{
      Name: name,
      Type: "Backup",
      Level: "Full",
      Client: "t-fd",
      FileSet: name,
      Storage: "File",
      Pool: "Default",
    },
    ...{ Messages: "Standard", Schedule: "Nightly", RerunMissed: "yes" },
    ...{
      ClientRunBeforeJob: `snapshot-create ${name}`,
      ClientRunAfterJob: `snapshot-remove ${name}`,
      ...job[name],
    },
  }));
  return {
    Schedule: [
      { Name: "Nightly", Cron: [{ At: `${due.getMinutes()} ${due.getHours()} * * *`, Level: "Full" }] },
    ],
    FileSet: [
      { Name: "web", Include: { Root: "/run/basalt/mnt/web", File: "/", Options: options } },
      { Name: "db", Include: { Image: "/dev/kvm-01/snap_vm_db-disk*" } },
    ],
    Job: jobs,
  };
}
