/** Trees in the shape of a small Debian with a merged /usr: packages in dpkg's database, and machines that drifted. */
import { createHash } from "node:crypto";
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";

/** Contents by path; a path ends in its place below the tree. `/bin/x` of a list lies in `usr/bin/x`. */
export interface Package {
  name: string;
  version: string;
  architecture?: string;
  /** Names as the package's list has them. */
  files: Record<string, Buffer | string>;
  conffiles?: string[];
}

/** The same bytes for the same seed. */
export function bytes(seed: string, length: number): Buffer {
  const out: Buffer[] = [];
  for (let i = 0; out.length * 32 < length; i++)
    out.push(createHash("sha256").update(`${seed} ${i}`).digest());
  return Buffer.concat(out).subarray(0, length);
}

const MERGED = /^(bin|sbin|lib)\//;
const placeOf = (name: string): string => name.replace(MERGED, "usr/$1/");
const isProgram = (name: string): boolean => /(^|\/)s?bin\//.test(name);

/** Seconds: the same for whatever was installed, and for what was changed later. */
const [INSTALLED, CHANGED] = [1_700_000_000, 1_750_000_000];

function put(root: string, name: string, content: Buffer | string, mode = 0o644, time = INSTALLED): void {
  const path = join(root, placeOf(name));
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  chmodSync(path, mode);
  utimesSync(path, time, time);
}

/** Installs or replaces a package, as dpkg leaves it. */
export function install(root: string, each: Package, time = INSTALLED): void {
  const { name, version, architecture = "amd64", files, conffiles = [] } = each;
  remove(root, name, []);
  for (const [file, content] of Object.entries(files))
    put(root, file, content, isProgram(file) ? 0o755 : 0o644, time);
  const info = join(root, "var/lib/dpkg/info");
  const parents = new Set(Object.keys(files).flatMap((file) => above(file)));
  const lines = ["/.", ...[...parents, ...Object.keys(files)].map((file) => `/${file}`)];
  writeFileSync(join(info, `${name}.list`), `${lines.join("\n")}\n`);
  const md5 = (content: Buffer | string): string => createHash("md5").update(content).digest("hex");
  const sums = Object.entries(files).map(([file, content]) => `${md5(content)}  ${file}\n`);
  writeFileSync(join(info, `${name}.md5sums`), sums.join(""));
  const conf = conffiles.map((file) => ` /${file} ${md5(files[file]!)}\n`).join("");
  const paragraph =
    `Package: ${name}\nStatus: install ok installed\nArchitecture: ${architecture}\nVersion: ${version}\n` +
    `${conf === "" ? "" : `Conffiles:\n${conf}`}Description: ${name}\n\n`;
  appendFileSync(join(root, "var/lib/dpkg/status"), paragraph);
}

function above(file: string): string[] {
  const parent = dirname(file);
  return parent === "." ? [] : [...above(parent), parent];
}

/** Takes a package out of the database, and these files away. */
export function remove(root: string, name: string, files: readonly string[]): void {
  const status = join(root, "var/lib/dpkg/status");
  const all = readFileSync(status, "utf8").split(/(?<=\n\n)/);
  writeFileSync(status, all.filter((each) => !each.startsWith(`Package: ${name}\n`)).join(""));
  for (const file of files) rmSync(join(root, placeOf(file)));
  for (const kind of ["list", "md5sums"])
    rmSync(join(root, `var/lib/dpkg/info/${name}.${kind}`), { force: true });
}

const LIBC: Package = {
  name: "libc6",
  version: "2.36-9",
  files: {
    "lib/x86_64-linux-gnu/libc.so.6": bytes("libc", 1_500_000),
    "usr/share/doc/libc6/copyright": "free",
  },
};
const COREUTILS: Package = {
  name: "coreutils",
  version: "9.1-1",
  files: {
    "bin/ls": bytes("ls", 60_000),
    "bin/cat": bytes("cat", 30_000),
    "usr/bin/sort": bytes("sort", 50_000),
  },
};
const BASH: Package = {
  name: "bash",
  version: "5.2.15-2",
  files: {
    "bin/bash": bytes("bash", 200_000),
    "etc/bash.bashrc": "PS1=a\n",
    "etc/skel/.bashrc": "alias a=b\n",
  },
  conffiles: ["etc/bash.bashrc", "etc/skel/.bashrc"],
};
const LESS: Package = { name: "less", version: "590-2", files: { "usr/bin/less": bytes("less", 40_000) } };
export const openssl = (version: string): Package => ({
  ...{ name: "openssl", version },
  files: { "usr/bin/openssl": bytes(`openssl ${version}`, 70_000) },
});
const POSTGRES: Package = {
  name: "postgresql-15",
  version: "15.5-0+deb12u1",
  files: {
    "usr/lib/postgresql/15/bin/postgres": bytes("postgres", 1_200_000),
    "usr/lib/postgresql/15/lib/plpgsql.so": bytes("plpgsql", 180_000),
  },
};
const NGINX: Package = {
  name: "nginx",
  version: "1.22.1-9",
  files: { "usr/sbin/nginx": bytes("nginx", 90_000) },
};

/** The reference `debian`. */
export function makeDebian(root: string): void {
  mkdirSync(join(root, "var/lib/dpkg/info"), { recursive: true });
  for (const name of ["bin", "sbin", "lib"]) {
    mkdirSync(join(root, "usr", name), { recursive: true });
    symlinkSync(`usr/${name}`, join(root, name));
  }
  writeFileSync(join(root, "var/lib/dpkg/status"), "");
  for (const each of [LIBC, COREUTILS, BASH, LESS, openssl("3.0.14-1~deb12u2")]) install(root, each);
  put(root, "var/log/dpkg.log", "installed\n");
  put(root, "etc/machine-id", "0123\n");
  put(root, "usr/lib/locale/locale-archive", bytes("locale", 300_000));
}

/** The reference `database`: debian with a server. */
export function makeDatabase(root: string): void {
  install(root, POSTGRES);
}

/** An application that no package has, the same on every machine that runs it. */
function deploy(root: string): void {
  for (let i = 0; i < 40; i++) put(root, `opt/app/lib/part-${i}`, bytes(`part ${i}`, 30_000 + i));
  put(root, "opt/app/bin/app", bytes("app", 90_000), 0o755);
}

/** `odd`: somebody was there. */
export function makeOdd(root: string): void {
  put(root, "bin/ls", bytes("other ls", 60_000), 0o755, CHANGED);
  chmodSync(join(root, "usr/bin/cat"), 0o4755);
  put(root, "etc/bash.bashrc", "PS1=mine\n");
  put(root, "usr/local/bin/miner", bytes("miner", 77_000), 0o755);
  put(root, "usr/lib/evil.so", bytes("evil", 5000));
  put(root, "srv/run", bytes("run", 2000), 0o4711);
  put(root, "srv/copy-of-libc", LIBC.files["lib/x86_64-linux-gnu/libc.so.6"]!);
  put(root, "srv/data", bytes("data", 123_456));
  put(root, "srv/data-again", bytes("data", 123_456));
  rmSync(join(root, "usr/bin/sort"));
  rmSync(join(root, "usr/lib/locale/locale-archive"));
  put(root, "var/log/dpkg.log", "installed\nand more\n");
  deploy(root);
}

/** `old`: behind with one package, ahead with another, with more and fewer of them. A database server. */
export function makeOld(root: string): void {
  install(root, openssl("3.0.9-1"), CHANGED);
  install(root, {
    ...LIBC,
    version: "2.36-9+deb12u4",
    files: { ...LIBC.files, "usr/share/doc/libc6/copyright": "freer" },
  });
  install(root, NGINX);
  install(root, POSTGRES);
  remove(root, LESS.name, Object.keys(LESS.files));
  deploy(root);
}

/** A machine of another family: its package database is not of text. */
export function makeRpm(root: string, installed: number): void {
  put(root, "usr/lib/sysimage/rpm/rpmdb.sqlite", bytes("rpm", 9000 + installed));
  put(root, "usr/bin/ls", bytes("rpm ls", 8000), 0o755);
  put(root, "etc/hosts", "localhost\n");
}
