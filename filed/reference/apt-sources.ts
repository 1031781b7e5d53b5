/**
 * Which of this machine's own apt sources belong to a release, as lines that mmdebstrap takes. Sources: sources.list(5),
 * both of its formats.
 */
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { BackupError, codeOf, describeError } from "../../common/errors.js";

/** Of one release: itself, its updates, its security fixes. */
function isOf(suite: string, release: string): boolean {
  const rest = suite.startsWith(release) ? suite.slice(release.length).replace(/^\//, "-") : undefined;
  return rest !== undefined && ["", "-updates", "-security"].includes(rest);
}

/**
 * One-line entries (`deb [signed-by=…] URI SUITE COMPONENT…`) of `directory` (such as /etc/apt) for a release.
 * @throws BackupError REFERENCE_SOURCES when there is none, or they cannot be read
 */
export function hostSources(release: string, directory = "/etc/apt"): string[] {
  const lines: string[] = [];
  for (const file of sourceFiles(directory)) {
    const text = read(file);
    const entries = file.endsWith(".sources") ? stanzas(text) : oneLines(text);
    for (const { options, uri, suite, components } of entries) {
      if (!isOf(suite, release)) continue;
      lines.push(["deb", ...(options === "" ? [] : [`[${options}]`]), uri, suite, ...components].join(" "));
    }
  }
  if (lines.length > 0) return [...new Set(lines)];
  const text = `no apt source in ${directory} is for "${release}"; name them with Mirror`;
  throw new BackupError("REFERENCE_SOURCES", text);
}

function sourceFiles(directory: string): string[] {
  const parts = path.join(directory, "sources.list.d");
  const all = [path.join(directory, "sources.list"), ...listing(parts).map((name) => path.join(parts, name))];
  return all.filter((file) => /\.(list|sources)$/.test(file));
}

function listing(directory: string): string[] {
  return unlessMissing(() => readdirSync(directory).sort(), []);
}

function read(file: string): string {
  return unlessMissing(() => readFileSync(file, "utf8"), "");
}

function unlessMissing<T>(work: () => T, otherwise: T): T {
  try {
    return work();
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return otherwise;
    throw new BackupError("REFERENCE_SOURCES", `cannot read apt's sources: ${describeError(cause)}`);
  }
}

interface Entry {
  /** Without brackets. */
  options: string;
  uri: string;
  suite: string;
  components: string[];
}

function oneLines(text: string): Entry[] {
  return text.split("\n").flatMap((line) => {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s*)?(\S+)\s+(\S+)([^#]*)/.exec(line);
    if (match === null) return [];
    const [, options = "", uri = "", suite = "", rest = ""] = match;
    return [{ options: options.trim(), uri, suite, components: wordsOf(rest) }];
  });
}

function stanzas(text: string): Entry[] {
  return text.split(/\n(?:[ \t]*\n)+/).flatMap((stanza) => {
    const fields = fieldsOf(stanza);
    const field = (name: string): string => fields.get(name) ?? "";
    if (!wordsOf(field("types")).includes("deb") || /^no$/i.test(field("enabled").trim())) return [];
    const key = field("signed-by");
    const parts = [
      // A key in the stanza itself has no place in one line.
      key === "" || key.includes("\n") ? "" : `signed-by=${wordsOf(key).join(",")}`,
      field("architectures") === "" ? "" : `arch=${wordsOf(field("architectures")).join(",")}`,
    ];
    const options = parts.filter((part) => part !== "").join(" ");
    return wordsOf(field("uris")).flatMap((uri) =>
      wordsOf(field("suites")).map((suite) => ({
        options,
        uri,
        suite,
        components: wordsOf(field("components")),
      })),
    );
  });
}

/** Fields of a deb822 stanza by their names in lower case; further lines of one are joined. */
function fieldsOf(stanza: string): Map<string, string> {
  const fields = new Map<string, string>();
  let open = "";
  for (const line of stanza.split("\n")) {
    if (line.startsWith("#")) continue;
    const match = /^([!-9;-~]+):(.*)$/.exec(line);
    if (match !== null) {
      open = match[1]!.toLowerCase();
      fields.set(open, match[2]!.trim());
    } else if (/^[ \t]/.test(line) && open !== "") fields.set(open, `${fields.get(open)}\n${line.trim()}`);
  }
  return fields;
}

function wordsOf(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
