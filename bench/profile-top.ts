/**
 * Prints where the time of CPU profiles went: the functions with the most time of their own, over all given files
 * and all below given directories.
 *
 * Usage: node build/bench/profile-top.js [--top N] FILE|DIRECTORY...
 */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { profileLines } from "./profile.js";

function profilesBelow(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  const names = readdirSync(path, { recursive: true, encoding: "utf8" });
  return names.filter((name) => name.endsWith(".cpuprofile")).map((name) => join(path, name));
}

const { values, positionals } = parseArgs({
  options: { top: { type: "string", default: "25" } },
  allowPositionals: true,
});
const files = positionals.flatMap(profilesBelow);
if (files.length === 0) {
  console.error("usage: node build/bench/profile-top.js [--top N] FILE|DIRECTORY...");
  process.exitCode = 2;
} else {
  const texts = files.map((file) => readFileSync(file, "utf8"));
  console.log(profileLines(texts, Number(values.top)).join("\n"));
}
