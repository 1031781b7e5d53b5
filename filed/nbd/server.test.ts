/** The NBD server with libnbd's own programs as its clients, and with a client that lies. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import { codeOf } from "../../common/errors.js";
import { runCommand } from "../../common/exec.js";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { skipWithout } from "../../common/test-needs.js";
import { noise } from "../../test/helpers/random.js";
import { type NbdExport, serveNbd } from "./server.js";

const MIB = 1024 * 1024;
const content = noise(3 * MIB + 777, "disk");
const whole: NbdExport = {
  sizeBytes: content.length,
  read: async (offset, length) => content.subarray(offset, offset + length),
};
const holed: NbdExport = {
  sizeBytes: 4 * MIB,
  read: async (offset, length) => {
    if (offset + length > 2 * MIB) throw new Error("the storage is gone");
    return Buffer.alloc(length, 7);
  },
};

function writable(): NbdExport {
  const bytes = Buffer.alloc(2 * MIB);
  return {
    sizeBytes: bytes.length,
    read: async (offset, length) => Buffer.from(bytes.subarray(offset, offset + length)),
    write: async (offset, written) => void written.copy(bytes, offset),
  };
}

/** A socket whose connections are served; what each of them ended with. */
async function serve(t: TestContext): Promise<{ socket: string; ends: unknown[]; dir: string }> {
  const dir = scratchDirectory("nbd");
  const socket = join(dir, "nbd");
  const exports = new Map([
    ["", whole],
    ["disk 2/ä", holed],
    ["writable", writable()],
  ]);
  const ends: unknown[] = [];
  const server = createServer((connection) => {
    serveNbd(connection, exports).then(
      () => ends.push(undefined),
      (error) => ends.push(error),
    );
  });
  server.listen(socket);
  await once(server, "listening");
  t.after(() => server.close());
  return { socket, ends, dir };
}

async function run(words: string[]): Promise<{ code: number | undefined; text: string }> {
  const lines: string[] = [];
  const env = { PATH: "/usr/bin:/bin", LC_ALL: "C" };
  const { code } = await runCommand({ words, env, timeoutMs: 60_000, onLine: (line) => lines.push(line) });
  return { code, text: lines.join("\n") };
}

async function hasPrograms(t: TestContext): Promise<boolean> {
  const found = await run(["nbdinfo", "--version"]).catch(() => undefined);
  if (found === undefined) skipWithout("nbdinfo and nbdcopy (libnbd-bin)", t);
  return found !== undefined;
}

const uri = (socket: string, name = ""): string => `nbd+unix:///${encodeURIComponent(name)}?socket=${socket}`;

test("nbdinfo sees the exports, their sizes, and that they are read-only", async (t) => {
  if (!(await hasPrograms(t))) return;
  const { socket, ends } = await serve(t);
  const { code, text } = await run(["nbdinfo", "--json", "--list", uri(socket)]);
  assert.equal(code, 0, text);
  const { exports } = JSON.parse(text) as { exports: Record<string, unknown>[] };
  assert.deepEqual(
    exports.map((each) => [each["export-name"], each["export-size"], each.is_read_only, each.can_multi_conn]),
    [
      ["", content.length, true, true],
      ["disk 2/ä", 4 * MIB, true, true],
      ["writable", 2 * MIB, false, false],
    ],
  );
  assert.ok(ends.every((end) => end === undefined));
  const unknown = await run(["nbdinfo", uri(socket, "none")]);
  assert.notEqual(unknown.code, 0);
});

test("nbdcopy copies every byte, over several connections with many requests", async (t) => {
  if (!(await hasPrograms(t))) return;
  const { socket, dir } = await serve(t);
  const copy = join(dir, "copy");
  const { code, text } = await run(["nbdcopy", "--request-size=65536", "--requests=64", uri(socket), copy]);
  assert.equal(code, 0, text);
  assert.ok(readFileSync(copy).equals(content));
});

test("what cannot be read is an error of that read; the connection lives on", async (t) => {
  if (!(await hasPrograms(t))) return;
  const { socket, dir } = await serve(t);
  const { code, text } = await run(["nbdcopy", uri(socket, "disk 2/ä"), join(dir, "copy")]);
  assert.notEqual(code, 0);
  assert.match(text, /Input\/output error/);
});

test("nbdcopy writes where writing is allowed, and reads back what it wrote", async (t) => {
  if (!(await hasPrograms(t))) return;
  const { socket, dir } = await serve(t);
  const info = await run(["nbdinfo", "--json", uri(socket, "writable")]);
  const [described] = (JSON.parse(info.text) as { exports: Record<string, unknown>[] }).exports;
  assert.deepEqual(
    [described?.is_read_only, described?.can_flush, described?.can_multi_conn],
    [false, true, false],
  );
  const [from, copy] = [join(dir, "from"), join(dir, "copy")];
  writeFileSync(from, noise(2 * MIB, "written"));
  for (const words of [
    ["--flush", from, uri(socket, "writable")],
    [uri(socket, "writable"), copy],
  ]) {
    const { code, text } = await run(["nbdcopy", ...words]);
    assert.equal(code, 0, text);
  }
  assert.ok(readFileSync(copy).equals(readFileSync(from)));
});

/** Says what it is told and returns what comes, until the server closes. */
async function talk(socket: string, said: Buffer): Promise<Buffer> {
  const client = connect(socket);
  const heard: Buffer[] = [];
  client.on("data", (bytes: Buffer) => heard.push(bytes));
  client.on("error", () => undefined);
  client.write(said);
  await once(client, "close");
  return Buffer.concat(heard);
}

const flags = Buffer.from("00000003", "hex");
const option = (number: number, data: Buffer, length = data.length): Buffer => {
  const head = Buffer.alloc(16);
  head.write("IHAVEOPT", "latin1");
  head.writeUInt32BE(number, 8);
  head.writeUInt32BE(length, 12);
  return Buffer.concat([head, data]);
};
const request = (command: number, offset: bigint, length: number): Buffer => {
  const head = Buffer.alloc(28);
  head.writeUInt32BE(0x25609513, 0);
  head.writeUInt16BE(command, 6);
  head.writeBigUInt64BE(offset, 16);
  head.writeUInt32BE(length, 24);
  return head;
};

test("a client that does not keep to the protocol is cut off", async (t) => {
  const { socket, ends } = await serve(t);
  const go = option(1, Buffer.alloc(0));
  const bad = [
    Buffer.from("ffffffff", "hex"),
    Buffer.concat([flags, Buffer.alloc(16, 1)]),
    Buffer.concat([flags, option(7, Buffer.alloc(0), 0xffff_ffff)]),
    Buffer.concat([flags, option(1, Buffer.from("none"))]),
    Buffer.concat([flags, go, Buffer.alloc(28, 1)]),
    Buffer.concat([flags, go, request(1, 0n, 512)]),
  ];
  for (const said of bad) await talk(socket, said);
  assert.deepEqual(
    ends.map((end) => codeOf(end)),
    bad.map(() => "NBD_PROTOCOL"),
  );
});

test("reads beyond the end, of nothing, or too long are refused one by one", async (t) => {
  const { socket, ends } = await serve(t);
  const end = BigInt(content.length);
  const asked = [
    ...[request(0, end, 1), request(0, end - 1n, 2), request(0, 0n, 0), request(0, 2n ** 63n, 512)],
    ...[request(0, 0n, 0xffff_ffff), request(6, 0n, 512), request(0, end - 1n, 1), request(2, 0n, 0)],
  ];
  const heard = await talk(socket, Buffer.concat([flags, option(1, Buffer.alloc(0)), ...asked]));
  const replies = heard.subarray(18 + 10);
  const errors = Array.from({ length: 7 }, (_, i) => replies.readUInt32BE(i * 16 + 4));
  assert.deepEqual(errors, [22, 22, 22, 22, 75, 22, 0]);
  assert.equal(replies[7 * 16], content.at(-1));
  assert.deepEqual(ends, [undefined]);
});
