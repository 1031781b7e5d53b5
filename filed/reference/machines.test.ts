import assert from "node:assert/strict";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import path from "node:path";
import { test } from "node:test";
import { scratchDirectory } from "../../common/scratch-directory.js";
import { ConsoleLog } from "./console-log.js";
import { newestKernel } from "./kernels.js";
import { KickstartServer } from "./kickstart-server.js";
import { machineConfig, qemuWords, type VirtualMachine } from "./virtual-machine.js";

const MACHINE: VirtualMachine = {
  machine: { memoryBytes: 512 * 1024 ** 2, processors: 2, accel: "tcg" },
  disk: "/srv/a,b.img",
  throwAway: true,
  network: false,
  agentSocket: "/run/ga",
  scratch: "/srv",
};

/** What follows a word, each time that it is there. */
function behind(words: readonly string[], word: string): string[] {
  return words.flatMap((each, index) => (each === word ? [words[index + 1]!] : []));
}

test("a machine's words: a comma in a name, what is thrown away, and nothing that was not asked for", () => {
  const words = qemuWords(MACHINE, "/c");
  assert.deepEqual(behind(words, "-m"), ["512"]);
  assert.deepEqual(behind(words, "-accel"), ["tcg,thread=multi"]);
  assert.match(behind(words, "-drive")[0]!, /^file=\/srv\/a,,b\.img,format=raw,.*,snapshot=on$/);
  assert.ok(!words.includes("-netdev") && !words.includes("-kernel"));
  const auto = { ...MACHINE, machine: { ...MACHINE.machine, accel: "auto" as const } };
  assert.deepEqual(behind(qemuWords(auto, "/c"), "-accel"), ["kvm", "tcg,thread=multi"]);
  const boot = { kernel: "/k", initrd: "/i", append: "ks=x console=ttyS0" };
  const installer = qemuWords({ ...MACHINE, throwAway: false, network: true, boot }, "/c");
  // Everybody sees a command line.
  assert.ok(!installer.join(" ").includes("ks=x"));
  assert.deepEqual(behind(installer, "-readconfig"), ["/c"]);
  assert.equal(machineConfig({ boot }), '[machine]\n  append = "ks=x console=ttyS0"\n');
  assert.doesNotMatch(behind(installer, "-drive")[0]!, /snapshot/);
  assert.deepEqual(behind(installer, "-netdev"), ["user,id=net"]);
});

test("a console's last lines without escapes; of a panic those that led to it", async () => {
  const log = await ConsoleLog.open(path.join(scratchDirectory("console"), "x", "a.console"));
  await log.take(Buffer.from("one\r\n\x1b[1;32mtwo\x1b[0m\x07 \xff\n"));
  assert.deepEqual(log.lastLines(5), ["one", "two"]);
  await log.take(Buffer.from("three\n[ 1.0] Kernel panic - not syn"));
  assert.ok(!log.panicked);
  await log.take(Buffer.from("cing: no init\nregisters\n"));
  await log.take(Buffer.from("more registers\n"));
  assert.deepEqual(log.lastLines(2), ["three", "[ 1.0] Kernel panic - not syncing: no init"]);
  const reported: string[] = [];
  const error = log.failure("CODE", "it is off", { name: "c6", report: (_, text) => reported.push(text) });
  assert.match(error.message, /^reference machine "c6": it is off \(console: .*a\.console\)$/);
  assert.equal(reported[0], "Reference c6: console: one");
  await log.close();
  assert.match(readFileSync(log.file, "latin1"), /more registers/);
});

function fetched(url: string, method = "GET"): Promise<string> {
  return new Promise((resolve, reject) => {
    const request = get(url, { method, agent: false }, (response) => {
      let text = `${response.statusCode} `;
      response.setEncoding("utf8");
      response.on("data", (part: string) => (text += part));
      response.on("end", () => resolve(text));
    });
    request.on("error", reject);
  });
}

test("only the kickstart file is served, at a path that is not to be guessed", async () => {
  const directory = scratchDirectory("ks");
  const file = path.join(directory, "my ks.cfg");
  writeFileSync(file, "install\n");
  const fetches: string[] = [];
  const server = await KickstartServer.start(file, (agent) => fetches.push(agent));
  try {
    assert.match(server.url, /^http:\/\/10\.0\.2\.2:\d+\/[0-9a-f]{32}\/my%20ks\.cfg$/);
    const url = server.url.replace("10.0.2.2", "127.0.0.1");
    assert.equal(await fetched(url), "200 install\n");
    assert.equal(server.fetched, 1);
    const { origin } = new URL(url);
    for (const other of [`${origin}/`, `${origin}/my%20ks.cfg`, `${url}/../../../etc/passwd`])
      assert.equal(await fetched(other), "404 ", other);
    assert.equal(await fetched(url, "POST"), "404 ");
    assert.equal(fetches.length, 1);
  } finally {
    await server.close();
  }
  await assert.rejects(
    KickstartServer.start(directory, () => undefined),
    /cannot serve .*: it is no regular file of at most 1 MiB/,
  );
});

test("the newest kernel of a tree that has an initrd; links lead nowhere", async () => {
  const tree = scratchDirectory("kernels");
  await assert.rejects(newestKernel(tree), /boot holds no kernel with an initrd: install one/);
  mkdirSync(path.join(tree, "boot"));
  for (const name of ["vmlinuz-6.1.0-9", "initrd.img-6.1.0-9", "vmlinuz-6.1.0-10", "initrd.img-6.1.0-10"])
    writeFileSync(path.join(tree, "boot", name), "");
  writeFileSync(path.join(tree, "boot", "vmlinuz-6.2.0-1"), "");
  symlinkSync("/etc/shadow", path.join(tree, "boot", "initrd.img-6.2.0-1"));
  assert.deepEqual(await newestKernel(tree), {
    kernel: path.join(tree, "boot/vmlinuz-6.1.0-10"),
    initrd: path.join(tree, "boot/initrd.img-6.1.0-10"),
  });
  const elsewhere = scratchDirectory("kernels");
  symlinkSync(path.join(tree, "boot"), path.join(elsewhere, "boot"));
  await assert.rejects(newestKernel(elsewhere), /holds no kernel/);
});
