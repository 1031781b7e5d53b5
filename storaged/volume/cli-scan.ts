/**
 * `basalt volume scan`: the catalog of a storage daemon that does not run, made again from its volumes.
 * Exit: 0 everything came back, 3 something is missing and was told, 1 nothing was changed, 2 wrong usage.
 */
import { dirname } from "node:path";
import { makeWorkingDirectory } from "../../common/daemon.js";
import { BackupError, EXIT } from "../../common/errors.js";
import { formatBytes } from "../../common/units.js";
import { lockWorkingDirectory } from "../../common/working-directory.js";
import { loadStoragedConfig } from "../config.js";
import { scanCatalog } from "../scan/scan.js";
import type { ScanResult } from "../scan/types.js";
import { FileStore } from "../store/file-store.js";
import { printableLine, type VolumeCommandOutput } from "./cli.js";
import { FrameVerifier } from "./verify.js";

interface ScanArguments {
  files: string[];
  config: string;
  catalog: string | undefined;
  add: boolean;
  quick: boolean;
  dry: boolean;
}

/** Between two lines of progress in a pipe: bytes of volumes. */
const LINE_BYTES = 4 * 1024 * 1024 * 1024;

/** @throws BackupError USAGE, and as scanCatalog */
export async function scanCommand(args: readonly string[], output: VolumeCommandOutput): Promise<number> {
  const wanted = parseArguments(args);
  const config = loadStoragedConfig(wanted.config);
  const catalogFile = wanted.catalog ?? config.catalogFile;
  makeWorkingDirectory(config.workingDirectory);
  const lock = lockWorkingDirectory(config.workingDirectory, "storaged");
  const store = new FileStore();
  const verifier = new FrameVerifier();
  const progress = new Progress(process.stderr);
  try {
    makeWorkingDirectory(dirname(catalogFile));
    const result = await scanCatalog({
      ...wanted,
      store,
      swap: store,
      verifier,
      catalogFile,
      devices: config.devices.values(),
      progress: (volume, read, total) => progress.at(volume, read, total),
      complain: async (line) => {
        progress.clear();
        await output.err(`${printableLine(line)}\n`);
      },
    });
    progress.clear();
    await output.out(summaryOf(result, wanted, catalogFile));
    return result.leftOut + result.damagedFiles + result.problems > 0 ? EXIT.warnings : EXIT.ok;
  } finally {
    progress.clear();
    await verifier.close();
    lock.release();
  }
}

function parseArguments(args: readonly string[]): ScanArguments {
  const parsed: ScanArguments = {
    files: [],
    config: "",
    catalog: undefined,
    add: false,
    quick: false,
    dry: false,
  };
  for (let i = 0; i < args.length; i++) {
    const arg = args[i]!;
    const value = (): string => {
      const found = args[++i];
      if (found === undefined) throw new BackupError("USAGE", `scan: ${arg} needs a value`);
      return found;
    };
    if (arg === "-c" || arg === "--config") parsed.config = value();
    else if (arg === "--catalog") parsed.catalog = value();
    else if (arg === "--add") parsed.add = true;
    else if (arg === "--quick") parsed.quick = true;
    else if (arg === "--dry") parsed.dry = true;
    else if (arg.startsWith("-")) throw new BackupError("USAGE", `scan: ${arg} is not known`);
    else parsed.files.push(arg);
  }
  if (parsed.config === "") throw new BackupError("USAGE", "scan: -c storaged.yaml is missing");
  if (parsed.files.length === 0) throw new BackupError("USAGE", "scan: no volumes given");
  return parsed;
}

function summaryOf(result: ScanResult, { dry }: ScanArguments, catalogFile: string): string {
  const { volumes, jobs, present, ghosts, failed, leftOut, frames, damagedFiles, problems } = result;
  const lines = [
    `${volumes} volumes, ${frames} frames`,
    `${jobs} jobs can be restored${present > 0 ? `, ${present} of them were in the catalog already` : ""}`,
    ...(leftOut > 0 ? [`${leftOut} jobs are left out`] : []),
    ...(ghosts > 0 ? [`${ghosts} deleted jobs whose content others may use`] : []),
    ...(failed > 0 ? [`${failed} jobs that were never committed`] : []),
    ...(damagedFiles > 0 ? [`${damagedFiles} files have lost their content`] : []),
    ...(problems > 0 ? [`${problems} places or volumes could not be read`] : []),
    dry ? "nothing was changed" : `catalog: ${catalogFile}`,
  ];
  return `${lines.join("\n")}\n`;
}

/** One line that changes on a terminal; a line now and then elsewhere. */
class Progress {
  readonly #stream: NodeJS.WriteStream;
  #shown = false;
  #percent = -1;
  #told = 0;

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
  }

  at(volume: string, read: number, total: number): void {
    const percent = total === 0 ? 100 : Math.min(100, Math.floor((read * 100) / total));
    const text = `${percent} % of ${formatBytes(total)}  ${volume}`;
    if (this.#stream.isTTY) {
      if (percent === this.#percent) return;
      this.#percent = percent;
      this.#shown = true;
      this.#stream.write(`\r\x1b[K${text}`);
    } else if (read - this.#told >= LINE_BYTES) {
      this.#told = read;
      this.#stream.write(`${text}\n`);
    }
  }

  clear(): void {
    if (this.#shown) this.#stream.write("\r\x1b[K");
    this.#shown = false;
    this.#percent = -1;
  }
}
