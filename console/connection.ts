/** The connection to a director: found with patience, then one session of lines and answers. */
import { setTimeout as sleep } from "node:timers/promises";
import { BackupError } from "../common/errors.js";
import { packageVersion } from "../common/package.js";
import { monotonicMs } from "../common/time.js";
import { loadTls } from "../common/tls/load.js";
import type { CompleteReply__Output } from "../proto/generated/basalt/v1/CompleteReply.js";
import type { ConsoleInput } from "../proto/generated/basalt/v1/ConsoleInput.js";
import type { ConsoleOutput__Output } from "../proto/generated/basalt/v1/ConsoleOutput.js";
import type { HelloReply__Output } from "../proto/generated/basalt/v1/HelloReply.js";
import type { RunningJobs__Output } from "../proto/generated/basalt/v1/RunningJobs.js";
import { checkProtocol, PROTOCOL, RpcChannel } from "../proto/rpc.js";
import type { ConsoleDirector } from "./config.js";
import { type ByPassword, proveToDirector } from "./password.js";

/** ready: the next line is a command; prompt: it is an answer; quit: the session is over. */
export type Turn = "ready" | "prompt" | "quit";

export interface SessionEvents {
  /** Text to be printed as it is; the session waits until it resolves. */
  text(text: string): Promise<void>;
  prompt(text: string): Promise<void>;
  /** New messages wait. */
  messages(): Promise<void>;
  running?(jobs: RunningJobs__Output): void;
}

const RETRY_MS = 1000;
const HELLO_TIMEOUT_MS = 5000;

export interface Connection {
  /** The director's name and version, as it says them. */
  name: string;
  version: string;
  session(events: SessionEvents): Session;
  complete(line: string): Promise<CompleteReply__Output>;
  close(): void;
}

/**
 * Connects, trying again while nobody answers, for as long as the configuration says.
 * @throws BackupError TLS_INVALID, PEER_UNAVAILABLE, PROTOCOL_MISMATCH, …
 */
export async function connect(director: ConsoleDirector): Promise<Connection> {
  const { tls, name } = await identify(director);
  const channel = new RpcChannel({
    address: director.address,
    port: director.port,
    tls,
    expect: { role: "director", name },
  });
  try {
    const hello = await helloWithPatience(channel, director);
    checkProtocol("director", hello.name, { major: hello.protocolMajor, minor: hello.protocolMinor });
    return {
      name: hello.name,
      version: hello.software,
      session: (events) => new Session(channel, events),
      complete: (line) =>
        channel.unary<CompleteReply__Output>("Director", "Complete", { line }, { timeoutMs: 3000 }),
      close: () => channel.close(),
    };
  } catch (error) {
    channel.close();
    throw error;
  }
}

/** Certificates to show and to expect: those of the configuration, or what the password gets. */
function identify(director: ConsoleDirector): Promise<ByPassword> | ByPassword {
  const { credential, name } = director;
  if (credential === undefined) return { tls: loadTls(director.tls), name };
  return withPatience(director, () => proveToDirector(director, credential));
}

async function helloWithPatience(
  channel: RpcChannel,
  director: ConsoleDirector,
): Promise<HelloReply__Output> {
  const request = {
    role: "console",
    name: director.name,
    protocolMajor: PROTOCOL.major,
    protocolMinor: PROTOCOL.minor,
    software: packageVersion(),
  };
  return withPatience(director, () =>
    channel.unary<HelloReply__Output>("Director", "Hello", request, { timeoutMs: HELLO_TIMEOUT_MS }),
  );
}

/** Tries again while nobody is there. */
async function withPatience<T>(director: ConsoleDirector, attempt: () => Promise<T>): Promise<T> {
  const end = monotonicMs() + director.connectTimeoutSec * 1000;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!mayComeUp(error) || monotonicMs() >= end) throw error;
    }
    await sleep(RETRY_MS);
  }
}

/** A director that is not there yet; a wrong certificate does not get better by waiting. */
function mayComeUp(error: unknown): boolean {
  if (!(error instanceof BackupError) || error.retry !== "later") return false;
  return !/certificate|self.signed|revoked|handshake|altname/i.test(error.message);
}

/** One session. Lines are submitted one at a time. */
export class Session {
  readonly #call;
  readonly #events: SessionEvents;
  #turn: { resolve: (turn: Turn) => void; reject: (error: unknown) => void } | undefined;
  #over: { error: unknown } | undefined;

  constructor(channel: RpcChannel, events: SessionEvents) {
    this.#call = channel.duplex<ConsoleInput, ConsoleOutput__Output>("Director", "Session");
    this.#events = events;
    void this.#pump();
  }

  /** Sends a line and resolves when the director wants the next one. @throws BackupError when the line is cut */
  submit(line: string): Promise<Turn> {
    return new Promise((resolve, reject) => {
      if (this.#over !== undefined) return reject(this.#over.error);
      this.#turn = { resolve, reject };
      this.#call.send({ line });
    });
  }

  /** Abandons the command that runs; its turn ends as usual. */
  interrupt(): void {
    if (this.#over === undefined) this.#call.send({ interrupt: true });
  }

  /** Abandons the command that asks; resolves when the director wants the next command. */
  abandon(): Promise<Turn> {
    return new Promise((resolve, reject) => {
      if (this.#over !== undefined) return reject(this.#over.error);
      this.#turn = { resolve, reject };
      this.#call.send({ interrupt: true });
    });
  }

  /** Asks for reports of running jobs. */
  watch(on: boolean): void {
    if (this.#over === undefined) this.#call.send({ watch: on });
  }

  end(): void {
    this.#call.end();
  }

  async #pump(): Promise<void> {
    try {
      for await (const output of this.#call.incoming) await this.#handle(output);
      this.#finish(new BackupError("CONNECTION_LOST", "the director closed the connection"));
    } catch (error) {
      this.#finish(error);
    }
  }

  async #handle(output: ConsoleOutput__Output): Promise<void> {
    if (typeof output.text === "string") await this.#events.text(output.text);
    else if (output.prompt) {
      await this.#events.prompt(output.prompt.text);
      this.#take("prompt");
    } else if (output.ready === true) this.#take("ready");
    else if (output.messages === true) await this.#events.messages();
    else if (output.running) this.#events.running?.(output.running);
    else if (output.quit === true) this.#take("quit");
  }

  #take(turn: Turn): void {
    const waiting = this.#turn;
    this.#turn = undefined;
    waiting?.resolve(turn);
  }

  #finish(error: unknown): void {
    this.#over = { error };
    this.#turn?.reject(error);
    this.#turn = undefined;
  }
}
