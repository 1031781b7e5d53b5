import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Readable, Writable } from "node:stream";
import { afterEach, beforeEach, test } from "node:test";
import type { Connection, Session, SessionEvents, Turn } from "./connection.js";
import { loadHistory, saveHistory } from "./history.js";
import { LineSource, linesOf } from "./line-source.js";
import { ConsoleOutput } from "./output.js";
import { runPiped } from "./piped.js";
import { statusText } from "./status-line.js";
import { splitWords } from "./words.js";

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "basalt-console-"));
});
afterEach(() => rmSync(dir, { recursive: true }));

class Screen extends Writable {
  text = "";
  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}

/** A director that answers `list` with a line, `ask` with a question, `news` with messages. */
function fakeConnection(seen: string[]): Connection {
  const session = (events: SessionEvents): Session => {
    let asking = false;
    let taking = false;
    const submit = async (line: string): Promise<Turn> => {
      seen.push(line);
      if (asking && !taking) await events.text(`answered ${line}\n`);
      taking = line.startsWith(".putfile") || (taking && line !== ".");
      asking = taking || (!asking && line === "ask");
      if (line === "list") await events.text("| listed |\n");
      if (line === "news") await events.messages();
      if (asking) await events.prompt(taking ? "" : "Which (1-2): ");
      return line === "quit" ? "quit" : asking ? "prompt" : "ready";
    };
    const abandon = async (): Promise<Turn> => {
      asking = false;
      return "ready";
    };
    return {
      submit,
      abandon,
      interrupt: () => undefined,
      watch: () => undefined,
      end: () => undefined,
    } as unknown as Session;
  };
  return {
    name: "d",
    version: "1",
    session,
    complete: async () => ({ candidates: [], fragment: "" }),
    close: () => undefined,
  };
}

async function piped(lines: readonly string[]): Promise<{ screen: string; sent: string[] }> {
  const sent: string[] = [];
  const screen = new Screen();
  const output = new ConsoleOutput(screen);
  const source = new LineSource(linesOf(Readable.from(lines.map((line) => `${line}\n`))));
  await runPiped({ connection: fakeConnection(sent), lines: source, output });
  output.close();
  await output.flush();
  return { screen: screen.text, sent };
}

test("every line is echoed, answers behind their prompt, no prompt of the console's own", async () => {
  const { screen, sent } = await piped(["list", "ask", "2", "", "news", "quit"]);
  assert.equal(
    screen,
    "list\n| listed |\nask\nWhich (1-2): 2\nanswered 2\n\nnews\nYou have messages.\nquit\n",
  );
  assert.deepEqual(sent, ["list", "ask", "2", "news", "quit"]);
});

test("the end of input is a quit, also in the middle of a question", async () => {
  assert.deepEqual((await piped(["list"])).sent, ["list", "quit"]);
  assert.deepEqual((await piped(["ask"])).sent, ["ask", "quit"]);
});

test("an empty line is an answer to a question", async () => {
  assert.deepEqual((await piped(["ask", "", "quit"])).sent, ["ask", "", "quit"]);
});

test("@output: the file has everything up to and with the line that ends it", async () => {
  const file = join(dir, "log1.out");
  const { screen } = await piped([`@out ${file}`, "list", "@sleep 0", "@output", "list", "quit"]);
  assert.equal(readFileSync(file, "utf8"), "list\n| listed |\n@sleep 0\n@output\n");
  assert.equal(screen, `@out ${file}\nlist\n| listed |\nquit\n`);
});

test("@output truncates, moves from file to file, and tells when it cannot open", async () => {
  const [a, b] = [join(dir, "a"), join(dir, "b")];
  writeFileSync(a, "old text");
  const { screen } = await piped([
    `@output ${a}`,
    `@output ${b}`,
    "list",
    "@output",
    `@output ${dir}/no/such`,
    "list",
  ]);
  assert.equal(readFileSync(a, "utf8"), `@output ${b}\n`);
  assert.equal(readFileSync(b, "utf8"), "list\n| listed |\n@output\n");
  assert.match(
    screen,
    /Cannot open file .*\/no\/such for output: .*no such file or directory\nlist\n\| listed \|\n$/,
  );
});

test("@tee prints to both, @tall the input too", async () => {
  const [tee, tall] = [join(dir, "tee"), join(dir, "tall")];
  const { screen } = await piped([`@tee ${tee}`, "list", `@tall ${tall}`, "list", "@tall"]);
  assert.equal(readFileSync(tee, "utf8"), "| listed |\n");
  assert.equal(readFileSync(tall, "utf8"), "list\n| listed |\n@tall\n");
  assert.equal(screen.match(/\| listed \|/g)?.length, 2);
});

test("@exec runs by the shell, its output goes to the current output, after what was printed", async () => {
  const file = join(dir, "out");
  await piped([
    `@output ${file}`,
    "list",
    `@exec "sh -c 'wc -l < ${file} | tr -d \\" \\"; echo err >&2'"`,
    '@exec "exit 3"',
    "@output",
  ]);
  const lines = readFileSync(file, "utf8").split("\n");
  assert.deepEqual(lines.slice(0, 2), ["list", "| listed |"]);
  assert.deepEqual(lines.slice(3, 5), ["3", "err"]);
  assert.ok(lines.includes("@exec: the command ended with status 3"));
});

test("@echo, @#, unknown ones, @quit", async () => {
  const { screen, sent } = await piped([
    '@echo "a  b" c',
    "@# a comment",
    "@nosuch x",
    "@#x",
    "@quit",
    "list",
  ]);
  assert.equal(
    screen,
    '@echo "a  b" c\na  b c \n@# a comment\n@nosuch x\n@nosuch: is an invalid command\n@#x\n@quit\n',
  );
  assert.deepEqual(sent, ["quit"]);
});

test("@input reads a file first, @separator cuts lines", async () => {
  const file = join(dir, "commands");
  writeFileSync(file, "list\nask\n");
  const { sent } = await piped([`@input ${file}`, "7", "@separator ;", "list; list ;time", "quit"]);
  assert.deepEqual(sent, ["list", "ask", "7", "list", "list", "time", "quit"]);
});

test("words of @-commands", () => {
  assert.deepEqual(splitWords('exec "sh -c \'touch \\"a b\\"\'" 10'), [
    "exec",
    "sh -c 'touch \"a b\"'",
    "10",
  ]);
  assert.deepEqual(splitWords("echo it's"), ["echo", "it's"]);
  assert.deepEqual(splitWords('x "" open"quote'), ["x", "", "openquote"]);
});

test("the history file is private and bounded", async () => {
  const { statSync } = await import("node:fs");
  const file = join(dir, "history");
  saveHistory(
    file,
    Array.from({ length: 1500 }, (_, index) => `line ${index}`),
  );
  assert.equal(statSync(file).mode & 0o777, 0o600);
  const lines = loadHistory(file);
  assert.equal(lines.length, 1000);
  assert.equal(lines[0], "line 0");
  assert.deepEqual(loadHistory(join(dir, "none")), []);
});

test("the status line fits the terminal and shows odd names safely", () => {
  const progress = { files: 1234, bytesRead: 5_000_000, bytesSent: 0, bytesStored: 0, errors: 2, volume: "" };
  const job = { jobId: 7, name: "vm1", type: "Backup", level: "Full", state: "is running", startedMs: 0 };
  const text = statusText([{ ...job, progress: { ...progress, path: Buffer.from("/a\x1b[31m") } }], 400);
  assert.match(text, /^\[7\] vm1 Full 1,234 files 5\.000 MB .*2 errors {2}\/a\\033\[31m$/);
  assert.equal(
    [...statusText([{ ...job, progress: { ...progress, path: Buffer.alloc(500, 97) } }], 80)].length,
    79,
  );
  assert.equal(statusText([], 80), "");
});

test("@putfile sends a file in pieces, between two commands", async () => {
  const file = join(dir, "list");
  const bytes = Buffer.alloc(300_000, "/srv/caf\xe9\n", "latin1");
  writeFileSync(file, bytes);
  const { screen, sent } = await piped([`@putfile k1 ${file}`, "list", "quit"]);
  assert.equal(screen, `@putfile k1 ${file}\nlist\n| listed |\nquit\n`);
  assert.equal(sent[0], '.putfile key="k1"');
  assert.equal(sent.indexOf("."), 3);
  assert.deepEqual(Buffer.concat(sent.slice(1, 3).map((line) => Buffer.from(line, "base64"))), bytes);
  assert.deepEqual(sent.slice(4), ["list", "quit"]);
});

test("@putfile sends nothing of what it cannot, nor as an answer", async () => {
  const { screen, sent } = await piped([
    ...["@putfile", "@putfile k", `@putfile k ${dir}/a b`, `@putfile no/key ${dir}/x`],
    ...[`@putfile k ${dir}/gone`, `@putfile k ${dir}`, "ask", `@putfile k ${dir}/x`, "2", "quit"],
  ]);
  assert.deepEqual(sent, ["ask", "2", "quit"]);
  assert.equal(screen.match(/^Usage: @putfile KEY FILE$/gm)?.length, 3);
  assert.match(screen, /^@putfile: a key is 1 to 16 letters and digits$/m);
  assert.match(screen, /gone.*no such file/i);
  assert.match(screen, /is no regular file$/m);
  assert.match(screen, /@putfile: the director waits for an answer\n2\nanswered 2\n/);
});
