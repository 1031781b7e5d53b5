/**
 * Gives one file to an installer over HTTP: on loopback, at a port and a path that nobody can guess. A machine with
 * QEMU's user network sees loopback as 10.0.2.2.
 */
import { randomBytes } from "node:crypto";
import { open } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import path from "node:path";
import { BackupError, describeError } from "../../common/errors.js";

const HOST_SEEN_BY_GUEST = "10.0.2.2";
const MOST_BYTES = 1024 ** 2;

export class KickstartServer {
  /** Where the installer gets it. */
  readonly url: string;
  readonly #server: Server;
  #fetched = 0;

  private constructor(server: Server, url: string) {
    this.#server = server;
    this.url = url;
  }

  /** Reads the file and serves it until `close`. @throws BackupError REFERENCE_KICKSTART */
  static async start(file: string, onFetch: (from: string) => void): Promise<KickstartServer> {
    const content = await readSmall(file);
    const wanted = `/${randomBytes(16).toString("hex")}/${encodeURIComponent(path.basename(file))}`;
    const server = createServer({ maxHeaderSize: 16_384, requestTimeout: 60_000 }, (request, response) => {
      const { method, url } = request;
      request.resume();
      if (url !== wanted || (method !== "GET" && method !== "HEAD")) {
        response.writeHead(404).end();
        return;
      }
      response.writeHead(200, { "content-type": "text/plain", "content-length": content.length });
      if (method === "GET") {
        started.#fetched++;
        onFetch(request.headers["user-agent"] ?? "");
      }
      response.end(method === "GET" ? content : undefined);
    });
    server.maxConnections = 16;
    await new Promise<void>((resolve, reject) => {
      server.once("error", (cause) => reject(problem(file, cause)));
      server.listen(0, "127.0.0.1", resolve);
    });
    const { port } = server.address() as AddressInfo;
    const started = new KickstartServer(server, `http://${HOST_SEEN_BY_GUEST}:${port}${wanted}`);
    return started;
  }

  /** How often it was fetched. */
  get fetched(): number {
    return this.#fetched;
  }

  async close(): Promise<void> {
    const closed = new Promise((resolve) => this.#server.close(resolve));
    this.#server.closeAllConnections();
    await closed;
  }
}

function problem(file: string, cause: unknown): BackupError {
  return new BackupError("REFERENCE_KICKSTART", `cannot serve ${file}: ${describeError(cause)}`);
}

async function readSmall(file: string): Promise<Buffer> {
  try {
    const handle = await open(file, "r");
    try {
      const stats = await handle.stat();
      if (!stats.isFile() || stats.size > MOST_BYTES)
        throw new Error("it is no regular file of at most 1 MiB");
      return await handle.readFile();
    } finally {
      await handle.close();
    }
  } catch (cause) {
    throw problem(file, cause);
  }
}
