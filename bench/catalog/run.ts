/**
 * The catalog at scale: makes one of 20 million entries in 2,000 runs, then measures what consoles, jobs and pruning
 * ask of it, alone and while eight jobs are being stored.
 * `--help` lists its options.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { Catalog } from "../../storaged/catalog/catalog.js";
import { writerMethods } from "../../storaged/catalog/catalog-worker.js";
import { openForWriting } from "../../storaged/catalog/schema.js";
import { benchProgram, wholeNumber } from "../command-line.js";
import { type Fleet, FleetWriter } from "./generate.js";
import { type Figure, measureAlone } from "./measure.js";
import { measureTogether } from "./together.js";

const values = benchProgram("bench catalog", "Measures a catalog with millions of entries")
  .option("--machines <n>", "machines", wholeNumber, 40)
  .option("--runs <n>", "runs of each", wholeNumber, 50)
  .option("--entries <n>", "entries of a first run", wholeNumber, 250_000)
  .option("--changes <n>", "entries of each later one", wholeNumber, 5100)
  .option("--dir <dir>", "where the catalog is kept and used again", "/var/tmp/basalt-catalog-scale")
  .option("--json <file>", "write all figures to a file")
  .parse()
  .opts<Fleet & { dir: string; json?: string }>();
const fleet: Fleet = values;

function generate(file: string): void {
  const db = openForWriting(file);
  db.pragma("cache_size = -400000");
  const started = performance.now();
  const writer = new FleetWriter(writerMethods(db), fleet);
  writer.prepare();
  for (let run = 0; run < fleet.runs; run++) {
    for (let machine = 0; machine < fleet.machines; machine++) writer.run(machine, run);
    const seconds = (performance.now() - started) / 1000;
    const rate = Math.round(writer.entries / seconds);
    console.error(`  run ${run + 1} of ${fleet.runs}: ${writer.entries} entries, ${rate} a second`);
  }
  db.close();
}

function print(figures: readonly Figure[]): void {
  const width = Math.max(...figures.map(({ what }) => what.length));
  for (const { what, value } of figures) console.log(`${what.padEnd(width)}  ${value}`);
}

mkdirSync(values.dir, { recursive: true });
const { machines, runs, entries, changes } = fleet;
const file = join(values.dir, `catalog-${machines}-${runs}-${entries}-${changes}.db`);
if (!existsSync(file)) {
  console.error(`making ${file}`);
  generate(`${file}.part`);
  renameSync(`${file}.part`, file);
  // Measured by a process that has not made anything.
  const { status } = spawnSync(process.execPath, [...process.execArgv, ...process.argv.slice(1)], {
    stdio: "inherit",
  });
  process.exit(status ?? 1);
}
const catalog = await Catalog.open(file, (error) => {
  throw error;
});
const figures: Figure[] = [
  { what: "entries", value: String(machines * (entries + (runs - 1) * changes)) },
  { what: "jobs", value: String(machines * runs) },
  { what: "catalog bytes", value: String(statSync(file).size) },
  ...(await measureAlone(catalog, fleet)),
  ...(await measureTogether(catalog, fleet)),
];
await catalog.close();
print(figures);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(figures, undefined, 2)}\n`);
