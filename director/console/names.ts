/** File names as people type them and see them; inside they are latin1-carried bytes (common/format/path.ts). */
import { bytesOfText } from "../../common/format/path.js";

/** Bytes of a typed name: UTF-8, and `\ooo` for single bytes as screens show them. */
export function typedName(text: string): string {
  return text
    .split(/(\\[0-3][0-7]{2})/)
    .map((part, index) =>
      index % 2 === 1 ? String.fromCharCode(Number.parseInt(part.slice(1), 8)) : bytesOfText(part),
    )
    .join("");
}

/** A latin1-carried string for a `bytes` field. */
export function toWire(path: string): Buffer {
  return Buffer.from(path, "latin1");
}

/** The latin1-carried string of a `bytes` field. */
export function fromWire(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
}

/** Absolute, normal form of a path typed in the directory `cwd`: `.` and `..` resolved, no slash at the end but in `/`. */
export function resolvePath(cwd: string, path: string): string {
  const parts: string[] = [];
  for (const part of (path.startsWith("/") ? path : `${cwd}/${path}`).split("/")) {
    if (part === "" || part === ".") continue;
    if (part === "..") parts.pop();
    else parts.push(part);
  }
  return `/${parts.join("/")}`;
}

/** `/a/b` → `/a`, `b`; the root has an empty name. */
export function splitPath(path: string): { directory: string; name: string } {
  const cut = path.lastIndexOf("/");
  return { directory: cut <= 0 ? "/" : path.slice(0, cut), name: path.slice(cut + 1) };
}

/** Path of `name` in `directory`. */
export function joinPath(directory: string, name: string): string {
  return directory === "/" ? `/${name}` : `${directory}/${name}`;
}
