import assert from "node:assert/strict";
import { test } from "node:test";
import { splitWords } from "./words.js";

test("words as a shell would split them", () => {
  assert.deepEqual(splitWords("  a  b\tc\n"), ["a", "b", "c"]);
  assert.deepEqual(splitWords(`a 'b c' "d e" f\\ g`), ["a", "b c", "d e", "f g"]);
  assert.deepEqual(splitWords(`x"y"'z' '' ""`), ["xyz", "", ""]);
  assert.deepEqual(splitWords(`"a\\"b\\\\c\\n" '\\n'`), ['a"b\\c\\n', "\\n"]);
  assert.deepEqual(splitWords("$HOME `id` a;b|c > d *"), ["$HOME", "`id`", "a;b|c", ">", "d", "*"]);
  assert.deepEqual(splitWords(""), []);
});

test("what is not closed is an error that shows the command", () => {
  for (const line of [`a 'b`, `a "b`, "a\\"]) {
    assert.throws(() => splitWords(line), { code: "COMMAND_INVALID" });
  }
});
