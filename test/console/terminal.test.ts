/** The console program against a served session, on a terminal and from a pipe. */
import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, beforeEach, test } from "node:test";
import { createLog } from "../../common/log.js";
import { FakeDirector } from "../../director/console/testing/fake-director.js";
import { addDirectorService } from "../../director/service.js";
import { RpcServer } from "../../proto/rpc.js";
import { REPOSITORY } from "../helpers/root.js";

let dir: string;
let port: number;
let server: RpcServer;
let director = new FakeDirector();

function openssl(...args: string[]): void {
  execFileSync("openssl", args, { cwd: dir, stdio: "ignore" });
}

function certificate(role: string, name: string): void {
  writeFileSync(join(dir, "ext"), `subjectAltName=DNS:localhost,IP:127.0.0.1,URI:basalt:${role}/${name}\n`);
  openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", `${role}.key`);
  openssl("req", "-new", "-key", `${role}.key`, "-subj", `/CN=${name}`, "-out", "csr");
  const signing = [
    "x509",
    "-req",
    "-in",
    "csr",
    "-CA",
    "ca.crt",
    "-CAkey",
    "ca.key",
    "-CAcreateserial",
    "-days",
    "2",
  ];
  openssl(...signing, "-extfile", "ext", "-out", `${role}.crt`);
  execFileSync("chmod", ["600", join(dir, `${role}.key`)]);
}

before(async () => {
  dir = mkdtempSync(join(tmpdir(), "basalt-terminal-"));
  openssl("ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ca.key");
  openssl("req", "-x509", "-new", "-key", "ca.key", "-subj", "/CN=test", "-days", "2", "-out", "ca.crt");
  certificate("director", "test-dir");
  certificate("console", "admin");
  const tls = {
    ca: readFileSync(join(dir, "ca.crt")),
    cert: readFileSync(join(dir, "director.crt")),
    key: readFileSync(join(dir, "director.key")),
  };
  server = new RpcServer({ tls, isRevoked: () => false });
  // Each test has its own director behind the one service.
  const current = new Proxy({} as FakeDirector, {
    get: (_none, key) => {
      const value: unknown = Reflect.get(director, key, director);
      return typeof value === "function" ? value.bind(director) : value;
    },
  });
  const log = createLog("test", { level: "silent" });
  addDirectorService(server, { director: current as never, version: "9.9.9", log, onPeer: () => undefined });
  port = await server.listen("127.0.0.1", 0);
  const files = "{CaFile: ca.crt, CertFile: console.crt, KeyFile: console.key}";
  const resource = (name: string) =>
    `  - {Name: ${name}, Address: 127.0.0.1, Port: ${port}, TLS: ${files}}\n`;
  writeFileSync(join(dir, "console.yaml"), `Director:\n${resource("test-dir")}${resource("other-dir")}`);
});
beforeEach(() => {
  director = new FakeDirector();
});
after(async () => {
  await server.close(100);
  rmSync(dir, { recursive: true });
});

interface Result {
  status: number | null;
  out: string;
  err: string;
}

function run(command: string, args: readonly string[], input: string): Promise<Result> {
  const env = { ...process.env, BASALT_HISTORY: join(dir, "history"), TERM: "xterm", NO_COLOR: "1" };
  return new Promise((resolve) => {
    const child = spawn(command, args, { stdio: "pipe", env });
    const result: Result = { status: null, out: "", err: "" };
    child.stdout.on("data", (data: Buffer) => {
      result.out += data.toString();
    });
    child.stderr.on("data", (data: Buffer) => {
      result.err += data.toString();
    });
    child.on("close", (status) => resolve({ ...result, status }));
    child.stdin.end(input);
  });
}

const BASALT = join(REPOSITORY, "basalt");

function piped(input: string, ...args: string[]): Promise<Result> {
  return run(BASALT, ["console", "-c", join(dir, "console.yaml"), ...args], input);
}

function typed(...steps: [pattern: string, keys: string][]): Promise<Result> {
  const script = join(REPOSITORY, "test/console/terminal.py");
  const input = steps.map((step) => `${JSON.stringify(step)}\n`).join("");
  return run("python3", [script, BASALT, "console", "-c", join(dir, "console.yaml")], input);
}

test("from a pipe: three lines on connect, echo, no prompt, the end of input is a quit", async () => {
  const { status, out } = await piped("time\nrun job=vm1\nno\n");
  assert.equal(status, 0);
  const lines = out.split("\n");
  assert.deepEqual(lines.slice(0, 4), [
    `Connecting to Director 127.0.0.1:${port}`,
    "1000 OK: 103 test-dir Version: 9.9.9",
    "Enter a period to cancel a command.",
    "time",
  ]);
  assert.ok(out.endsWith("OK to run? (yes/mod/no): no\nJob not run.\n"), out);
  assert.ok(!out.includes("*time"));
});

test("an unknown Director resource, and one whose certificate is another's", async () => {
  const unknown = await piped("", "-D", "nosuch");
  assert.notEqual(unknown.status, 0);
  assert.match(unknown.err, /no Director resource "nosuch".*test-dir, other-dir/);
  const other = await piped("", "-D", "other-dir");
  assert.notEqual(other.status, 0);
  assert.match(other.err, /test-dir/);
});

test("on a terminal: prompt, completion, questions, Ctrl-C, history, Ctrl-D", async () => {
  const { status, out } = await typed(
    ["\\*\\x1b", "vers\t"],
    ["version", "\r"],
    ["Version: [^9].*[\\s\\S]*\\*\\x1b", "status client=vm1\t"],
    ["client=vm1-fd", "\r"],
    ["No Jobs running[\\s\\S]*\\*\\x1b", "run job=vm1 yes\r"],
    ["JobId=11[\\s\\S]*\\*\\x1b", "run job=vm1\r"],
    ["\\(yes/mod/no\\): ", "maybe\r"],
    ["must answer[\\s\\S]*\\(yes/mod/no\\): ", "\x03"],
    ["\\*\\x1b", "@echo hello\r"],
    ["hello \\r\\n[\\s\\S]*\\*\\x1b", "\x04"],
  );
  assert.equal(status, 0, out);
  assert.deepEqual(
    director.ran.map((request) => request.job),
    ["vm1"],
  );
  const history = readFileSync(join(dir, "history"), "utf8").split("\n");
  assert.ok(history.includes("run job=vm1 yes") && !history.includes("maybe"), history.join("|"));
  assert.equal(statSync(join(dir, "history")).mode & 0o777, 0o600);
});

test("on a terminal running jobs are followed, and Ctrl-C ends a wait", async () => {
  director.addLive(7);
  const { status, out } = await typed(
    ["\\[7\\] vm1 Full is running[\\s\\S]*\\*\\x1b", "wait\r"],
    ["wait\\r[\\s\\S]*\\[7\\] vm1", "\x03"],
    ["\\*\\x1b", "quit\r"],
  );
  assert.equal(status, 0, out);
  assert.ok(!out.includes("\x1b[2m"), "NO_COLOR is honoured");
});
