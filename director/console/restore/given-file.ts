/** Files on the director's machine that somebody names at a console. */
import { constants, open } from "node:fs/promises";

/**
 * The content of a regular file. A pipe would be waited for and a device never end.
 * @throws system errors, and Error for what is no file or larger
 */
export async function readGivenFile(file: string, maxBytes: number): Promise<Buffer> {
  const handle = await open(file, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    const status = await handle.stat();
    if (!status.isFile()) throw new Error("it is no regular file");
    if (status.size > maxBytes) throw new Error(`it is larger than ${maxBytes} bytes`);
    return await handle.readFile();
  } finally {
    await handle.close();
  }
}
