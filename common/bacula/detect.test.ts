import assert from "node:assert/strict";
import { test } from "node:test";
import { startsAsBacula } from "./detect.js";

test("the first words tell Bacula's language from YAML", () => {
  const bacula = [
    "Director {",
    "#\n# Default: Bacula\n#\n\nDirector {   # define myself\n",
    "File Daemon\n{\n",
    "File Daemon # the one\n# below\n  {",
    "@/etc/bacula/clients.conf\n",
    "@|\"sh -c 'cat /etc/x'\"",
    "\ufeffStorage{Name=x}",
    "job { Name = a; }",
  ];
  for (const text of bacula) assert.ok(startsAsBacula(text), text);
  const yaml = [
    "",
    "# nothing\n",
    "Director:\n  Name: x\n",
    "Director: {Name: x}\n",
    "---\nDirector: {Name: x}",
    "{Director: {Name: x}}",
    '"Director": {Name: x}',
    "# Director {\nDirector: {Name: x}",
    "Include: [conf.d/*.yaml]",
    "- a",
    "Director",
    "Director x = {",
    "a\n".repeat(130_000),
    `${"#".repeat(250_000)}\u2028x`,
  ];
  for (const text of yaml) assert.ok(!startsAsBacula(text), text);
});
