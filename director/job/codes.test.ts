import assert from "node:assert/strict";
import { test } from "node:test";
import { splitWords } from "../../common/words.js";
import { type CodeValues, hookText, hookWords, replaceCodes } from "./codes.js";

const VALUES: CodeValues = {
  bytes: 2000,
  client: "web 1'fd",
  clientAddress: "10.0.0.1",
  director: "main-dir",
  exitStatus: "OK",
  errors: 3,
  fileSet: "Full Set",
  files: 12,
  jobId: 7,
  job: "web1.2026-11-21_03.22.19_04",
  level: "Incremental",
  name: "web1; rm -rf $(x)",
  priority: 10,
  pool: "Default",
  pid: 4711,
  readBytes: 99,
  since: "2026-11-20 01:02:03",
  storage: "File",
  type: "Backup",
  volumes: "Vol-0001|Vol-0002",
};

test("every code", () => {
  assert.equal(
    replaceCodes("%c %d %e %i %j %l %n %s %t %v %b %f %p %P %%", VALUES),
    "web 1'fd main-dir OK 7 web1.2026-11-21_03.22.19_04 Incremental web1; rm -rf $(x) 2026-11-20 01:02:03 " +
      "Backup Vol-0001|Vol-0002 2000 Full Set Default 4711 %",
  );
  assert.equal(replaceCodes("%F %h %w %o %E %R %D", VALUES), "12 10.0.0.1 File 10 3 99 main-dir");
});

test("unknown codes and a lone % stay; a replaced value is not looked at again", () => {
  assert.equal(replaceCodes("100% %z %", VALUES), "100% %z %");
  assert.equal(replaceCodes("%n", { ...VALUES, name: "%i" }), "%i");
  assert.equal(replaceCodes("%%i", VALUES), "%i");
});

test("each value is one word, whatever it holds", () => {
  const words = ["/hooks/snap", "--vm=web1; rm -rf $(x)", "web 1'fd", "a b"];
  assert.deepEqual(hookWords('/hooks/snap --vm=%n %c "a b"', VALUES), words);
});

test("the text for the client splits into the same words", () => {
  for (const command of ["/hooks/snap --vm=%n %c \"a b\" ''", "/x %v%f \\%i", "/x '%n'\"%c\""]) {
    assert.deepEqual(splitWords(hookText(command, VALUES)), hookWords(command, VALUES));
  }
  const odd = { ...VALUES, name: "" };
  assert.deepEqual(splitWords(hookText("/x %n end", odd)), ["/x", "", "end"]);
});
