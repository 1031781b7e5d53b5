import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { escapeText, formatWhere } from "./manifest.js";

test("text is escaped for printf %b, and comes back", () => {
  assert.equal(escapeText("plain-/~!x"), "plain-/~!x");
  assert.equal(escapeText("-"), "\\0055");
  const bytes = Buffer.from(Array.from({ length: 255 }, (_, i) => i + 1));
  const shell = spawnSync("sh", ["-c", 'printf "%b" "$1"', "sh", escapeText(bytes.toString("latin1"))]);
  assert.deepEqual(shell.stdout, bytes);
  assert.equal(formatWhere([]), "-");
  assert.equal(
    formatWhere([
      { jobId: 1, volume: "A" },
      { jobId: 2, volume: "B:1" },
    ]),
    "1@A,2@B:1",
  );
});
