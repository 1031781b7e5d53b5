/** Where a path of any bytes really lies. */
import { realpathSync } from "node:fs";

/** The path without symlinks, both as latin1 carriers. @throws Node's error with a `code` */
export function realPath(path: string): string {
  return realpathSync(Buffer.from(path, "latin1"), "latin1" as BufferEncoding) as unknown as string;
}
