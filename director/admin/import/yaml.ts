/** Mapped resources as commented YAML. */

import { Document, isMap, Pair, Scalar, YAMLMap, YAMLSeq } from "yaml";
import type { MapNode, MappedEntry, MappedResource } from "../../../common/bacula/map/types.js";
import type { ConfigNode } from "../../../common/config/source.js";

/** One file of the result. */
export interface YamlFile {
  /** Relative to the installation. */
  readonly name: string;
  readonly text: string;
}

/** The loader takes files up to 1 MiB. */
const MAX_PART_BYTES = 512 * 1024;

/** Lines at the top of a file, and resources below; kinds keep their order, resources that of the original. */
export function yamlText(header: readonly string[], resources: readonly MappedResource[]): string {
  const parts = [...header, ""];
  for (const [kind, items] of byKind(resources)) parts.push(`${kind}:`, ...items.map(itemText));
  return `${parts.join("\n").trimEnd()}\n`;
}

/**
 * The director's configuration: one file, or, when that would be too large, files in conf.d that hold all but the
 * Director resource.
 */
export function directorFiles(
  header: readonly string[],
  resources: readonly MappedResource[],
  include: string,
): YamlFile[] {
  const whole = yamlText([...header, "", include], resources);
  if (Buffer.byteLength(whole) <= MAX_PART_BYTES) return [{ name: "director.yaml", text: whole }];
  const isDirector = ({ kind }: MappedResource): boolean => kind === "Director";
  const files: YamlFile[] = [
    { name: "director.yaml", text: yamlText([...header, "", include], resources.filter(isDirector)) },
  ];
  for (const [kind, items] of byKind(resources.filter((each) => !isDirector(each)))) {
    const parts = inParts(items.map(itemText));
    for (const [index, part] of parts.entries()) {
      const name = `conf.d/imported-${kind.toLowerCase()}-${String(index + 1).padStart(3, "0")}.yaml`;
      files.push({ name, text: `${kind}:\n${part.join("\n")}\n` });
    }
  }
  return files;
}

function inParts(texts: readonly string[]): string[][] {
  const parts: string[][] = [[]];
  let bytes = 0;
  for (const text of texts) {
    const size = Buffer.byteLength(text) + 1;
    if (bytes > 0 && bytes + size > MAX_PART_BYTES) {
      parts.push([]);
      bytes = 0;
    }
    parts.at(-1)!.push(text);
    bytes += size;
  }
  return parts;
}

function byKind(resources: readonly MappedResource[]): Map<string, MappedResource[]> {
  const kinds = new Map<string, MappedResource[]>();
  for (const resource of resources) {
    const known = kinds.get(resource.kind) ?? [];
    known.push(resource);
    kinds.set(resource.kind, known);
  }
  return kinds;
}

/** One resource as an item of its kind's list, with an empty line behind it. */
function itemText({ node, remarks }: MappedResource): string {
  const document = new Document(undefined, { schema: "failsafe" });
  const list = new YAMLSeq();
  const first = node.entries[0] as Partial<MappedEntry> | undefined;
  const above = [...remarks, ...(first?.remarks ?? [])];
  const entries = node.entries.map((entry, index) => (index === 0 ? { ...entry, remarks: [] } : entry));
  list.items.push(toYaml({ ...node, entries }));
  document.contents = list as never;
  const body = document.toString({ lineWidth: 0, indentSeq: true }).trimEnd();
  const lines = [...above.map((line) => `#${clean(line)}`.trimEnd()), ...body.split("\n")];
  return `${lines.map((line) => (line === "" ? "" : `  ${line}`)).join("\n")}\n`;
}

function toYaml(node: ConfigNode): Scalar | YAMLSeq | YAMLMap {
  if (node.kind === "scalar") return new Scalar(node.text);
  if (node.kind === "map") return mapToYaml(node);
  if (node.items.length === 1 && node.items[0]!.kind === "scalar") return toYaml(node.items[0]!);
  const list = new YAMLSeq();
  list.items.push(...node.items.map(toYaml));
  return list;
}

function mapToYaml(node: MapNode): YAMLMap {
  const map = new YAMLMap();
  for (const entry of node.entries) {
    const key = new Scalar(entry.key);
    const remarks = (entry as Partial<MappedEntry>).remarks ?? [];
    if (remarks.length > 0) key.commentBefore = remarks.map((line) => clean(line) || " ").join("\n");
    const value = toYaml(entry.value);
    const { behind } = entry as Partial<MappedEntry>;
    if (behind !== undefined && value instanceof Scalar) value.comment = clean(behind);
    if (isMap(value) && entry.key === "TLS") value.flow = true;
    map.items.push(new Pair(key, value));
  }
  return map;
}

/** Comments hold one line and no control characters. */
function clean(line: string): string {
  return line.replace(/[\u0000-\u0008\u000a-\u001f\u007f-\u009f\u2028\u2029\ufeff\ufffe\uffff]+/g, " ");
}
