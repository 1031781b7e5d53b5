/** Commands that jobs run on clients, and where clients may run them from. */

import path from "node:path";
import { type ClientCommand, clientCommands } from "../../../common/bacula/map/job.js";
import { placeOf, shownDirective } from "../../../common/bacula/map/mapper.js";
import type { Names } from "../../../common/bacula/map/names.js";
import type { Finding } from "../../../common/bacula/map/types.js";
import type { BaculaResource } from "../../../common/bacula/syntax.js";
import { givenText } from "../../../common/bacula/values.js";
import { foldName } from "../../../common/config/diagnostics.js";
import { splitWords } from "../../../common/words.js";

export interface HookCommand extends ClientCommand {
  /** `Job "web"` */
  readonly job: string;
  /** The only client it is run on; undefined: any, since JobDefs say it. */
  readonly clientName: string | undefined;
  /** Where its program lies; undefined when that cannot be a hook directory. */
  readonly directory: string | undefined;
}

/** The client commands of all jobs. */
export function hookCommands(resources: readonly BaculaResource[], names: Names): HookCommand[] {
  return resources.flatMap((resource) => {
    const folded = foldName(resource.kind);
    if (folded !== "job" && folded !== "jobdefs") return [];
    const own = folded === "job" ? givenText(resource.directives, "Client") : undefined;
    const clientName = own === undefined ? undefined : names.of("Client", own);
    const job = placeOf(resource);
    return clientCommands(resource.directives).map((each) => {
      return { ...each, clientName, job, directory: directoryOf(each.command) };
    });
  });
}

/** Directories that the client's commands lie in, apart from those that hold programs for everything. */
export function hookDirectories(commands: readonly HookCommand[], client: string): string[] {
  const own = commands.filter(({ clientName }) => clientName === undefined || clientName === client);
  return [...new Set(own.flatMap(({ directory }) => directory ?? []))];
}

/** Commands that no client will run as it is set up. */
export function refusedCommands(commands: readonly HookCommand[]): Finding[] {
  return commands
    .filter(({ directory }) => directory === undefined)
    .map(({ job, directive }) => {
      const what = `${job}: ${shownDirective(directive)}`;
      return { outcome: "unsupported", at: directive.at, what, text: REFUSED };
    });
}

/** A hook directory with a shell or other programs in it would allow anything. */
const SYSTEM = /^\/((usr\/(local\/)?)?s?bin)?$/;

const REFUSED =
  "the client refuses this command: it lies among programs that could do anything. Call it from a script in the " +
  "client's hooks directory, or add its directory to HookDirectories";

function directoryOf(command: string): string | undefined {
  try {
    const directory = path.dirname(splitWords(command)[0] ?? "");
    return path.isAbsolute(directory) && !SYSTEM.test(directory) ? directory : undefined;
  } catch {
    return undefined;
  }
}
