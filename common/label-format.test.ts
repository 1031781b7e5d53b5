import assert from "node:assert/strict";
import { test } from "node:test";
import { labelNames } from "./label-format.js";

const FACTS = {
  ...{ job: "vm.2026-03-04_05.06.07_08", jobName: "vm", jobId: 12, level: "Full", client: "vm-fd" },
  ...{ pool: "Pool", storage: "sd", mediaType: "File", numVols: 7 },
  timeMs: new Date(2026, 2, 4, 5, 6, 7).getTime(),
};
const first = (format: string) => labelNames(format, FACTS).next().value;

test("a prefix is numbered from the number of volumes on", () => {
  const names = labelNames("Full-", FACTS);
  assert.deepEqual([names.next().value, names.next().value], ["Full-0008", "Full-0009"]);
});

test("variables of a template", () => {
  /* biome-ignore-start lint/suspicious/noTemplateCurlyInString: variables of Bacula's */
  assert.equal(first("${Year}-${Month:p/2/0/r}-${Day:p/2/0/r}_${Hour}.${Minute}"), "2026-03-04_5.6");
  assert.equal(
    first("${JobName}:${JobId}:${Level}:${Client}:${Pool}:${Storage}"),
    "vm:12:Full:vm-fd:Pool:sd",
  );
  assert.equal(first("${Job}"), FACTS.job);
  assert.equal(first("$Pool-${Type}-${MediaType}-${WeekDay}"), "Pool-Backup-File-Wednesday");
  assert.equal(first("V${NumVols:p/4/0/r}"), "V0007");
  assert.equal(first("V${numvols:p/3/_/l}"), "V7__");
  assert.equal(first("${Pool:u}-${Pool:l}-${Job:o3,10}-${Level:u:p/6/-/l}"), "POOL-pool-2026-03-04-FULL--");
  // Stays, so that the name is refused with the variable in it.
  assert.equal(first("X${Unknown}"), "X${Unknown}");
  /* biome-ignore-end lint/suspicious/noTemplateCurlyInString: variables of Bacula's */
  assert.deepEqual([...labelNames("$Pool", FACTS)], ["Pool"]);
});
