/** A guest agent in the place of QEMU's, for tests of what a real one never does on purpose. */
import { randomUUID } from "node:crypto";
import { createServer, type Server, type Socket } from "node:net";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { scratchDirectory } from "../../common/scratch-directory.js";
import type { FreezeSettings } from "./settings.js";

export type Answer = object | string | Buffer | undefined;

/** Says something else than an honest agent: a value to return, bytes as they are, or nothing for ever. */
export type Lie = (
  agent: StandInAgent,
  args: Record<string, unknown>,
) => Answer | "honest" | "silence" | "die";

/** Honest but for its lies; like QEMU's socket it listens to one client, and others wait. */
export class StandInAgent {
  readonly socket: string;
  /** Commands as they came, without synchronizing and questions. */
  readonly commands: string[] = [];
  readonly lies: Record<string, Lie>;
  fileSystems = 2;
  frozen = false;
  /** What it says before its answer to guest-sync-delimited. */
  rubbish: Buffer | undefined;
  #server: Server;
  #turn: Promise<void> = Promise.resolve();
  readonly #open = new Set<Socket>();

  private constructor(socket: string, lies: Record<string, Lie>) {
    this.socket = socket;
    this.lies = lies;
    this.#server = this.#makeServer();
  }

  static async start(t: TestContext, lies: Record<string, Lie> = {}): Promise<StandInAgent> {
    const agent = new StandInAgent(join(scratchDirectory("agent"), "agent.sock"), lies);
    await agent.listen();
    t.after(() => agent.die());
    return agent;
  }

  /** Again after `die`. */
  async listen(): Promise<void> {
    this.#server = this.#makeServer();
    await new Promise<void>((resolve) => this.#server.listen(this.socket, resolve));
  }

  /** Closes all connections and answers no more. Idempotent. */
  die(): void {
    this.#server.close();
    for (const socket of this.#open) socket.destroy();
  }

  #makeServer(): Server {
    return createServer((socket) => {
      this.#open.add(socket);
      const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
      socket.once("close", () => this.#open.delete(socket));
      socket.on("error", () => undefined);
      const before = this.#turn;
      this.#turn = before.then(() => closed);
      void before.then(() => this.#serve(socket));
    });
  }

  #serve(socket: Socket): void {
    let text = Buffer.alloc(0);
    socket.on("data", (bytes) => {
      text = Buffer.concat([text, bytes]);
      for (let end = text.indexOf(10); end >= 0; end = text.indexOf(10)) {
        const line = text.subarray(text.lastIndexOf(0xff, end) + 1, end).toString();
        text = text.subarray(end + 1);
        this.#answer(socket, JSON.parse(line));
      }
    });
  }

  #answer(socket: Socket, call: { execute: string; arguments?: Record<string, unknown> }): void {
    const command = call.execute;
    if (/freeze-freeze|thaw/.test(command)) this.commands.push(command.replace("guest-fsfreeze-", ""));
    const args = call.arguments ?? {};
    const lie = this.lies[command]?.(this, args) ?? "honest";
    if (lie === "die") this.die();
    if (lie === "die" || lie === "silence") return;
    if (Buffer.isBuffer(lie) || (typeof lie === "string" && lie !== "honest")) {
      socket.write(lie);
      return;
    }
    const value = lie === "honest" ? this.#honest(command, args) : lie;
    const before =
      command === "guest-sync-delimited" ? [this.rubbish ?? Buffer.alloc(0), Buffer.from([0xff])] : [];
    socket.write(Buffer.concat([...before, Buffer.from(`${JSON.stringify(value)}\n`)]));
  }

  #honest(command: string, args: Record<string, unknown>): object {
    switch (command) {
      case "guest-sync-delimited":
        return { return: args.id };
      case "guest-file-open":
        return { return: 1000 };
      case "guest-file-read":
        return { return: { count: 37, "buf-b64": Buffer.from(`${randomUUID()}\n`).toString("base64") } };
      case "guest-file-close":
        return { return: {} };
      case "guest-fsfreeze-status":
        return { return: this.frozen ? "frozen" : "thawed" };
      case "guest-fsfreeze-freeze":
      case "guest-fsfreeze-freeze-list":
        this.frozen = true;
        return { return: this.fileSystems };
      case "guest-fsfreeze-thaw": {
        const thawed = this.frozen ? this.fileSystems : 0;
        this.frozen = false;
        return { return: thawed };
      }
      default:
        return { error: { class: "CommandNotFound", desc: `The command ${command} has not been found` } };
    }
  }
}

/** Settings with the defaults of the configuration, and short limits. */
export function freezeSettings(more: Partial<FreezeSettings>): FreezeSettings {
  return {
    methods: ["agent"],
    fileSystems: [],
    domain: "%n",
    libvirtUri: "qemu:///system",
    virsh: "virsh",
    services: [],
    hookDirectories: [],
    timeoutSec: 120,
    stepTimeoutSec: 60,
    required: false,
    ...more,
  };
}

/** Collects report lines. */
export function reporter(): { said: string[]; report: (line: string) => void } {
  const said: string[] = [];
  return { said, report: (line) => void said.push(line) };
}
