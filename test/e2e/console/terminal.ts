/** The console on a terminal. */
import assert from "node:assert/strict";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "node:test";
import { REPOSITORY } from "../../helpers/root.js";
import type { Scenario } from "../../helpers/scenario.js";
import { runProgram } from "../../helpers/tree-ops.js";

const PLAYER = join(REPOSITORY, "test", "e2e", "console", "terminal.py");
const [CTRL_C, CTRL_D, UP, TAB] = ["\x03", "\x04", "\x1b[A", "\t"];

export function terminalTests(get: () => Scenario): void {
  describe("on a terminal", () => {
    /** Plays keys; gives what the terminal showed, without its control sequences. */
    async function play(steps: [wait: string, keys: string][]): Promise<string> {
      const scenario = get();
      await mkdir(scenario.path("home"), { recursive: true });
      const command = [scenario.basalt, "console", "-c", join(scenario.installation.dir, "console.yaml")];
      const home = [
        "env",
        `HOME=${scenario.path("home")}`,
        `XDG_STATE_HOME=${scenario.path("home")}`,
        "TERM=xterm",
      ];
      const shown = await runProgram("python3", [PLAYER, JSON.stringify(steps), ...home, ...command]);
      return shown.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, "").replaceAll("\r", "");
    }

    test("prompt, completion, history, questions, Ctrl-C and Ctrl-D", async () => {
      const shown = await play([
        ["\n", ""],
        ["*", `ver${TAB}`],
        ["version", "\r"],
        ["Version: ", ""],
        ["*", `statu${TAB}`],
        ["status", " dir\r"],
        ["No Jobs running.", ""],
        ["*", `run job=v${TAB}`],
        ["job=vm", " level=Incremental\r"],
        ["OK to run? (yes/mod/no): ", CTRL_C],
        ["*", "not this one"],
        ["not this one", CTRL_C],
        ["*", `${UP}${UP}${UP}\r`],
        ["version", ""],
        ["Version: ", ""],
        ["*", CTRL_D],
      ]);
      assert.match(shown, /^Connecting to Director 127\.0\.0\.1:\d+\n1000 OK: 103 t-dir Version: /);
      assert.match(shown, /\*version\s*\n/);
      assert.match(shown, /\*status dir\n/);
      assert.match(shown, /\*run job=vm +level=Incremental\n/);
      assert.ok(!shown.includes("Job queued"), shown);
    });

    test("history is there again, and a running job is shown", async () => {
      const shown = await play([
        ["*", `${UP}`],
        ["version", CTRL_C],
        ["*", "run job=vm level=Full yes\r"],
        ["Job queued. JobId=", ""],
        ["*", "wait\r"],
        ["*", "messages\r"],
        ["Backup OK", ""],
        ["*", "quit\r"],
      ]);
      assert.match(shown, /Termination: {12}Backup OK\n/);
    });
  });
}
