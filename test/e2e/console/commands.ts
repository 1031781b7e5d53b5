/** One long session from a pipe: every command's answer, line by line. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { describe, test } from "node:test";
import type { Scenario } from "../../helpers/scenario.js";
import { session } from "./session.js";

const CATALOG = 'Automatically selected Catalog: MyCatalog\nUsing Catalog "MyCatalog"\n';
const SUMMARY = (level: string, priority: number): string =>
  `Run Backup job\nJobName: {2}vm\nLevel: {4}${level}\nClient: {3}t-fd\nFileSet: {2}vm\n` +
  "Pool: {5}Default \\(From Job resource\\)\nStorage: {2}File \\(From Job resource\\)\n" +
  `When: {5}\\d{4}-\\d\\d-\\d\\d \\d\\d:\\d\\d:\\d\\d\nPriority: ${priority}\nOK to run\\? \\(yes/mod/no\\): $`;

export function commandTests(get: () => Scenario): void {
  describe("commands from a pipe", () => {
    test("label asks for what it needs", async () => {
      const scenario = get();
      const labelled = (name: string): RegExp =>
        new RegExp(
          "^Connecting to Storage daemon File at 127\\.0\\.0\\.1:\\d+ \\.\\.\\.\n" +
            `Sending label command for Volume "${name}" Slot 0 \\.\\.\\.\n` +
            `3000 OK label\\. VolBytes=\\d+ Volume="${name}" Device="FileStorage" \\(.*/storage\\)\n` +
            `Catalog record for Volume "${name}", Slot 0 {2}successfully created\\.\n` +
            "Requesting to mount FileStorage \\.\\.\\.\n3906 ",
        );
      await session(scenario, [
        [
          "label storage=File volume=Lab-1",
          `${CATALOG}Defined Pools:\n     1: Default\n     2: Scratch\nSelect the Pool (1-2): `,
        ],
        ["7", /^Please enter a number between 1 and 2\nSelect the Pool \(1-2\): $/],
        ["1", labelled("Lab-1")],
        [
          "label storage=File volume=Lab-1 pool=Default",
          /Media record for new Volume "Lab-1" already exists\.\nEnter new Volume name: $/,
        ],
        ["no blanks", /^Illegal Volume name "no blanks"/],
        ["Lab-2", labelled("Lab-2")],
        ["label pool=Default", /^Automatically selected Storage: File\nEnter new Volume name: $/],
        ["."],
      ]);
    });

    test("run with mod, wait, messages and the report", async () => {
      const scenario = get();
      const { text } = await session(scenario, [
        ["messages"],
        ["run job=vm level=full", new RegExp(SUMMARY("Full", 10))],
        ["maybe", "Bad response: maybe. You must answer yes, mod, or no.\nOK to run? (yes/mod/no): "],
        [
          "mod",
          /^Parameters to modify:\n {5}1: Level\n[\s\S]* {5}9: Plugin Options\nSelect parameter to modify \(1-9\): $/,
        ],
        ["7", "Enter new Priority: "],
        ["5", new RegExp(SUMMARY("Full", 5))],
        ["yes", "Job queued. JobId=1\n"],
        ["wait", ""],
        ["messages", /JobId 1: Start Backup JobId 1, Job=vm\./],
        ["messages", "You have no messages.\n"],
        ["run job=vm level=full", new RegExp(SUMMARY("Full", 10))],
        ["no", "Job not run.\n"],
        ["run job=vm level=Foo yes", 'Level "Foo" not valid.\nJob not run.\n'],
        ["run job=nosuch yes", /^Job "nosuch" not found\nThe defined Job resources are:\n/],
        [".", "Selection aborted, nothing done.\n"],
        [
          'run yes job=vm level=Incremental when="2020-01-01 00:00:00" comment="late one"',
          "Job queued. JobId=2\n",
        ],
        ["wait jobid=2", /JobId=2\nJobStatus=OK \(T\)\n/],
      ]);
      const keys = [
        "Build OS",
        "JobId",
        "Job",
        "Backup Level",
        "Client",
        "FileSet",
        "Pool",
        "Catalog",
        "Storage",
        "Scheduled time",
        "Start time",
        "End time",
        "Elapsed time",
        "Priority",
        "FD Files Written",
        "SD Files Written",
        "FD Bytes Written",
        "SD Bytes Written",
        "Rate",
        "Software Compression",
        "Comm Line Compression",
        "Snapshot/VSS",
        "Encryption",
        "Accurate",
        "Volume name(s)",
        "Volume Session Id",
        "Volume Session Time",
        "Last Volume Bytes",
        "Non-fatal FD errors",
        "SD Errors",
        "FD termination status",
        "SD termination status",
        "Termination",
      ];
      const report = /^.* t-dir JobId 1: Basalt t-dir \S+:\n([\s\S]*?)\n\n/m.exec(text)?.[1] ?? "";
      const lines = report.split("\n").map((line) => /^ {2}([^:]+):(?: +(.*))?$/.exec(line));
      const found = lines.map((line) => line?.[1] ?? "?");
      assert.deepEqual(
        found.filter((key) => keys.includes(key)),
        keys,
        text,
      );
      for (const line of report.split("\n")) assert.match(line, /^ {2}[^:]+:( {1,22}\S|$)/, line);
      assert.match(report, /^ {2}Termination: {12}Backup OK$/m);
      assert.match(text, /\nwait\nYou have messages\.\nmessages\n/);
      assert.match(text, /Wrote label to prelabeled Volume "Lab-1" on File device "FileStorage" \(/);
    });

    test("list and llist", async () => {
      const scenario = get();
      const row = (...cells: (string | number)[]): string => cells.map((cell) => `${cell} *`).join("\\| ");
      await session(scenario, [
        [
          "list jobs",
          new RegExp(
            `^${CATALOG.replaceAll(".", "\\.")}\\+-+\\+[\\s\\S]*\\| JobId \\| Name +\\| StartTime +\\| Type \\| Level \\| JobFiles \\| JobBytes \\| JobStatus \\|[\\s\\S]*\\| ${row(1, "vm", "\\S+ \\S+", "B", "F", 9, "\\d+", "T")}`,
          ),
        ],
        ["list jobid=1", /^\+[\s\S]*\| 1 +\| vm +\|.*\| T +\|\n\+[-+]+\n$/],
        ["list jobid=99", "No results to list.\n"],
        ["list jobs limit=1 order=desc", /\| 2 +\| vm/],
        ["llist jobid=2", /^ +JobId: 2\n +Job: vm\.\S+\n +Name: vm\n[\s\S]* +Comment: late one\n/],
        [
          "list files jobid=1",
          /\n\| \/\s*\|\n\| \/data\/\s*\|\n\| \/data\/plain\s*\|\n\| \/data\/soft\s*\|\n\| \/data\/with blank\s*\|\n\| \/etc\/\s*\|\n\| \/etc\/conf\s*\|\n/,
        ],
        [
          "list volumes",
          /^Pool: Default\n\+[\s\S]*\| MediaId \| VolumeName \| VolStatus \| Enabled \| VolBytes \|[\s\S]*\| 1 +\| Lab-1 +\| Append +\|[\s\S]*Pool: Scratch\nNo results to list\.\n$/,
        ],
        ["list volume=Lab-1", /\| Lab-1 /],
        ["llist volume=Lab-1", /^ +MediaId: 1\n +VolumeName: Lab-1\n[\s\S]* +VolStatus: Append\n/],
        [
          "list pools",
          /\| PoolId \| Name +\| NumVols \| MaxVols \| MaxVolBytes \| VolRetention \| Enabled \| PoolType \| LabelFormat \|[\s\S]*\| 1 +\| Default \| 2 /,
        ],
        ["list clients", /\| t-fd /],
        ["list joblog jobid=1", /JobId 1: Start Backup JobId 1,[\s\S]*Termination: {12}Backup OK\n/],
        ["list nextvol job=vm", 'The next Volume to be used by Job "vm" will be Lab-1\n'],
        ["list basejobs jobid=1"],
        ["list copies"],
      ]);
    });

    test("status, estimate, show, reload, cancel, help, version", async () => {
      const scenario = get();
      const idle =
        /\nNo Jobs running\.\n====\n[\s\S]*Terminated Jobs:\n JobId {2}Level +Files +Bytes +Status +Finished +Name *\n=+\n +1 {2}Full +9 +1\.6\d\d K +OK +\S+ \S+ vm\n +2 {2}Incr +0 +0 +OK /;
      const { text } = await session(scenario, [
        ["status dir", idle],
        ["st client=t-fd", idle],
        ["status storage=File", idle],
        ["status storage=File", /\nDevice status:\n[\s\S]*Device File: "FileStorage" \(.*\/storage\) /],
        ["status schedule", /^Scheduled Jobs:\n/],
        ["status all", /t-dir Version: [\s\S]*t-sd Version: [\s\S]*t-fd Version: /],
        [
          "estimate job=vm level=Full listing",
          /\n-rw------- +1 +\S+ +\S+ +1500 2020-09-13 .* \/etc\/conf\n[\s\S]*\n2000 OK estimate files=9 bytes=1,6\d\d\n$/,
        ],
        ["estimate job=vm", /2000 OK estimate files=0 bytes=0\n$/],
        ["show job=vm", /^Job: name=vm .*Enabled=1/],
        ["show pools", /Pool: name=Default PoolType=Backup[\s\S]*Pool: name=Scratch PoolType=Scratch/],
        ["show client=t-fd", /^Client: [Nn]ame=t-fd Enabled=1 Address=127\.0\.0\.1/],
        ["disable job=vm", /"vm" disabled\n/],
        ["show job=vm", /Enabled=0/],
        ["enable job=vm", /"vm" enabled\n/],
        ["reload", ""],
        ["cancel jobid=1", "Warning Job JobId=1 is not running.\n"],
        ["cancel", "No Jobs running.\n"],
        ["time", /^\w{3} \d\d-\w{3}-\d{4} \d\d:\d\d:\d\d\n$/],
        ["version", /^t-dir Version: \S+/],
        ["help", /\n? *cancel .*\n[\s\S]* *wait .*\n/],
        ["nonsense", "nonsense: is an invalid command.\n"],
        ["# a remark", "#: is an invalid command.\n"],
      ]);
      assert.ok(!text.includes(" READ "), text);
    });

    test("@-commands", async () => {
      const scenario = get();
      const file = (name: string): string => scenario.path(name);
      writeFileSync(file("commands"), "time\n@echo from the file\n");
      const { text } = await session(scenario, [
        [`@tee ${file("tee")}`],
        ["list jobid=2"],
        ["@tee"],
        ['@echo one "two three"', "one two three \n"],
        [`@exec "sh -c 'echo from exec; exit 0'"`, "from exec\n"],
        ["@sleep 0.1", ""],
        ["@# a remark", ""],
        [`@input ${file("commands")}`, /time\n\w{3} .*\n@echo from the file\nfrom the file \n/],
        ["@nonsense", "@nonsense: is an invalid command\n"],
        ["version", /^t-dir Version/],
      ]);
      assert.match(readFileSync(file("tee"), "utf8"), /\| 2 +\| vm/);
      assert.match(text, /\| 2 +\| vm/);
      await scenario.installation.console([`@out ${file("out")}`, "version", "@output", "time"]);
      assert.match(
        readFileSync(file("out"), "utf8"),
        /^version\nt-dir Version: .*\n(You have messages\.\n)?@output\n$/,
      );
    });

    test(".api json and the dot-commands", async () => {
      const scenario = get();
      const output = await scenario.installation.console([
        ".jobs",
        ".clients",
        ".status dir last",
        ".defaults job=vm",
        ".api json",
        "list jobs",
        "status dir",
        "run job=vm level=Incremental yes",
        "nonsense",
        "list jobid=abc",
        ".api text",
        "wait",
        "version",
      ]);
      assert.match(output, /^\.jobs\n[\s\S]*?^vm$[\s\S]*^\.clients\n(?:.*\n)*?t-fd\n/m);
      assert.match(output, /^JobId=2 JobStatus=T JobErrors=0$/m);
      assert.match(output, /^pool=Default$/m);
      interface Answer {
        command: string;
        ok: boolean;
        data?: { jobs?: { JobId: number }[]; jobId?: number };
        error?: string;
      }
      const answers = output
        .split("\n")
        .filter((line) => line.startsWith("{"))
        .map((line) => JSON.parse(line) as Answer);
      assert.deepEqual(
        answers.map(({ command, ok }) => [command, ok]),
        [
          [".api", true],
          ["list", true],
          ["status", true],
          ["run", true],
          ["nonsense", false],
          ["list", false],
        ],
        output,
      );
      assert.deepEqual(
        answers[1]?.data?.jobs?.map(({ JobId }) => JobId),
        [1, 2],
      );
      assert.equal(answers[3]?.data?.jobId, 3);
      assert.match(output, /\nversion\nt-dir Version: .*\n/);
    });
  });
}
