/** What the tree of test/helpers/tree.ts consists of: one function for each group of kinds. */
import { deepPath, names } from "./odd-names.js";
import { aclValue, capabilityValue, dirOp, type EntryOp, fileOp, type TreeOp } from "./tree-ops.js";

const MIB = 1024 * 1024;

/** How makeOddTree may be changed. */
export interface OddTreeOptions {
  /** Entries of the huge directory. (Default: 3000) */
  hugeDirectory?: number;
  /** Everything depends on it. (Default: "odd") */
  seed?: string;
  /** Leave out paths beyond PATH_MAX, for a tool under comparison that cannot walk them. (Default: false) */
  shortPaths?: boolean;
}

function modes(): TreeOp[] {
  const special = [0o4755, 0o2755, 0o1777, 0o6711, 0o7777, 0o000, 0o444, 0o200];
  const ops: TreeOp[] = [dirOp("modes")];
  for (const mode of [...special, 0o600, 0o640, 0o755]) {
    const name = mode.toString(8).padStart(4, "0");
    ops.push(fileOp(`modes/f${name}`, { kind: "text", size: 40, seed: name }, { mode }));
  }
  for (const mode of [0o000, 0o1777, 0o2775, 0o4711, 0o555]) {
    const name = `modes/d${mode.toString(8).padStart(4, "0")}`;
    ops.push(dirOp(name, { mode }), fileOp(`${name}/inside`, { kind: "text", size: 9, seed: name }));
  }
  return ops;
}

function ownersAndTimes(): TreeOp[] {
  const times = [
    "0",
    "1",
    "999999999",
    "-1",
    "-1000000000123456789",
    "8589934591999999999",
    "1700000000123456789",
  ];
  return [
    dirOp("owners", { uid: 33, gid: 33 }),
    fileOp("owners/foreign", { kind: "text", size: 10 }, { uid: 12345, gid: 54321, mode: 0o640 }),
    fileOp("owners/large-ids", { kind: "text", size: 10 }, { uid: 4294967293, gid: 4294967292 }),
    fileOp("owners/setuid-foreign", { kind: "text", size: 10 }, { uid: 999, gid: 998, mode: 0o6755 }),
    { op: "entry", type: "symlink", path: "owners/link", target: "foreign", uid: 12345, gid: 54321 },
    dirOp("times", { mtimeNs: "1600000000000000001" }),
    ...times.map((mtimeNs, index) => fileOp(`times/t${index}`, { kind: "text", size: 5 }, { mtimeNs })),
    { op: "entry", type: "symlink", path: "times/link", target: "t0", mtimeNs: "1234567890987654321" },
    dirOp("times/old-directory", { mtimeNs: "-86400000000001" }),
    fileOp("times/old-directory/newer", { kind: "text", size: 5 }),
  ];
}

function links(): TreeOp[] {
  const symlink = (path: string, target: string): EntryOp => ({ op: "entry", type: "symlink", path, target });
  const link = (path: string, target: string): EntryOp => ({ op: "entry", type: "link", path, target });
  return [
    dirOp("links"),
    dirOp("links/sub"),
    symlink("links/dangling", "no/such/thing"),
    symlink("links/self", "self"),
    symlink("links/absolute", "/etc/passwd"),
    symlink("links/bytes", "caf\xe9-\xff\x01-\xc3\xa9"),
    symlink("links/long", "x/".repeat(2000)),
    symlink("links/newline", "a\nb"),
    fileOp("links/base", { kind: "random", size: 5000, seed: "base" }, { mtimeNs: "1500000000000000007" }),
    link("links/same-directory", "links/base"),
    link("links/sub/other-directory", "links/base"),
    link("a-link-before-its-base", "links/base"),
    fileOp("links/large", { kind: "random", size: 2 * MIB + 17, seed: "large-link" }),
    link("links/sub/large", "links/large"),
    fileOp("links/broken", { kind: "text", size: 300, seed: "broken" }),
    link("links/sub/broken", "links/broken"),
    link("links/sub/broken-too", "links/broken"),
    fileOp("links/empty", { kind: "zero", size: 0 }),
    link("links/sub/empty", "links/empty"),
    link("links/sub/dangling", "links/dangling"),
  ];
}

function specials(): TreeOp[] {
  const node = (path: string, type: EntryOp["type"], rest: Partial<EntryOp> = {}): EntryOp => ({
    op: "entry",
    path: `special/${path}`,
    type,
    mode: 0o620,
    ...rest,
  });
  return [
    dirOp("special"),
    node("char", "char", { rdev: [1, 3], mtimeNs: "1400000000000000003" }),
    node("block", "block", { rdev: [7, 99], uid: 0, gid: 6 }),
    node("large-numbers", "char", { rdev: [300, 70000] }),
    node("fifo", "fifo", { mtimeNs: "1400000000000000009" }),
    node("fifo-link", "link", { target: "special/fifo" }),
    node("socket", "socket"),
  ];
}

function sparseFiles(): TreeOp[] {
  const ops: TreeOp[] = [dirOp("sparse")];
  const sizes: [string, number, number][] = [
    ["small", 600_000, 4096],
    ["large", 20 * MIB + 5, 300_000],
  ];
  for (const [name, size, data] of sizes) {
    const file = (kind: string, ...at: number[]): void => {
      const parts = at.map((offset, index) => ({
        at: offset,
        kind: "random" as const,
        size: data,
        seed: `${name}${kind}${index}`,
      }));
      ops.push({ op: "entry", type: "file", path: `sparse/${name}-${kind}`, size, parts });
    };
    file("leading", size - data);
    file("middle", 0, size - data);
    file("trailing", 0);
    file("islands", 65536, Math.floor(size / 8192) * 4096);
    file("all-hole");
  }
  ops.push({ op: "entry", type: "file", path: "sparse/tiny-hole", size: 5000 });
  return ops;
}

function attributes(): TreeOp[] {
  const plain = (name: string, xattrs: Record<string, string>): EntryOp =>
    fileOp(`attributes/${name}`, { kind: "text", size: 20, seed: name }, { xattrs });
  const access = aclValue([
    [1, 6],
    [2, 4, 12345],
    [2, 7, 33],
    [4, 4],
    [8, 5, 54321],
    [16, 7],
    [32, 0],
  ]);
  return [
    dirOp("attributes"),
    plain("user", {
      "user.note": "68656c6c6f",
      "user.empty": "",
      "user.binary": "00ff0a0d00",
      "user.b\xfftes": "01",
    }),
    plain("user-large", { "user.large": "ab".repeat(2000) }),
    plain("trusted", { "trusted.basalt": "0102" }),
    { ...plain("capability", { "security.capability": capabilityValue(10) }), mode: 0o755 },
    { ...plain("capability-owned", { "security.capability": capabilityValue(13) }), uid: 33, gid: 33 },
    plain("acl", { "system.posix_acl_access": access }),
    dirOp("attributes/default-acl", {
      xattrs: {
        "system.posix_acl_access": aclValue([
          [1, 7],
          [2, 5, 1000],
          [4, 5],
          [16, 5],
          [32, 1],
        ]),
        "system.posix_acl_default": access,
        "user.on-directory": "31",
      },
    }),
    {
      op: "entry",
      type: "symlink",
      path: "attributes/link",
      target: "user",
      xattrs: { "trusted.on-link": "33" },
    },
  ];
}

function contents(seed: string): TreeOp[] {
  const random = [0, 1, 511, 512, 513, 4095, 4096, 4097, 65536, MIB - 1, MIB, MIB + 1, 5 * MIB];
  return [
    dirOp("contents"),
    ...random.map((size) =>
      fileOp(`contents/random-${size}`, { kind: "random", size, seed: `${seed}${size}` }),
    ),
    fileOp("contents/zeros", { kind: "zero", size: 5 * MIB }),
    fileOp("contents/text", { kind: "text", size: 3_000_000, seed }),
    fileOp("contents/twin-1", { kind: "random", size: 70_000, seed: "twin" }),
    fileOp("contents/twin-2", { kind: "random", size: 70_000, seed: "twin" }),
    fileOp("contents/large-twin", { kind: "random", size: 5 * MIB, seed: `${seed}${5 * MIB}` }),
    dirOp("empty", { mode: 0o750 }),
    dirOp("empty/inner"),
    dirOp("huge"),
  ];
}

function editable(seed: string): TreeOp[] {
  const file = (path: string, size: number): EntryOp =>
    fileOp(`edit/${path}`, { kind: "random", size, seed: `${seed}${path}` });
  return [
    dirOp("edit"),
    { ...file("rewritten-quietly", 4000), mtimeNs: "1650000000000000001" },
    { ...file("rewritten-large", 3 * MIB), mtimeNs: "1650000000000000002" },
    file("metadata", 100),
    dirOp("edit/metadata-dir"),
    file("attributes", 100),
    file("growing", 2 * MIB),
    file("inserted", 4 * MIB),
    file("touched", 2 * MIB),
    file("renamed-0", 30_000),
    dirOp("edit/moved-0"),
    file("moved-0/inside", 3000),
    ...doomed(seed, 1),
    { ...file("flip", 50) },
    dirOp("edit/flop"),
    file("flop/inside", 70),
    file("linked", 800),
    file("loosened", 900),
    { op: "entry", type: "link", path: "edit/loosened-too", target: "edit/loosened" },
  ];
}

/** What step `step` deletes; the step before has made it. */
export function doomed(seed: string, step: number): TreeOp[] {
  return [
    fileOp(`edit/doomed-${step}`, { kind: "text", size: 500, seed }),
    dirOp(`edit/doomed-tree-${step}`),
    dirOp(`edit/doomed-tree-${step}/a`),
    fileOp(`edit/doomed-tree-${step}/a/b`, { kind: "text", size: 501, seed }),
    fileOp(`edit/doomed-tree-${step}/a-b`, { kind: "text", size: 502, seed }),
  ];
}

/** Everything the tree consists of, in the order in which it is made. */
export function oddTreeOps(options: OddTreeOptions): TreeOp[] {
  const seed = options.seed ?? "odd";
  const ops = [
    ...modes(),
    ...ownersAndTimes(),
    ...links(),
    ...specials(),
    ...sparseFiles(),
    ...attributes(),
    ...names(),
  ];
  if (!options.shortPaths) ops.push(...deepPath());
  ops.push(...contents(seed), ...editable(seed), {
    op: "many",
    path: "huge",
    count: options.hugeDirectory ?? 3000,
  });
  return ops;
}
