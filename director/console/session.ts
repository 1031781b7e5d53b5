/**
 * One console session: a line in, text out, until `quit` or the console is gone.
 *
 * Input is read all the time, so that an interrupt reaches a command that runs; lines that come meanwhile wait,
 * and become answers when the command asks. A command ends with `messages` when a new batch waits for this
 * console, then `ready`.
 */
import { setMaxListeners } from "node:events";
import { BackupError, codeOf, describeError } from "../../common/errors.js";
import { createLog, type Log } from "../../common/log.js";
import type { ConsoleInput } from "../../proto/generated/basalt/v1/ConsoleInput.js";
import type { ConsoleOutput } from "../../proto/generated/basalt/v1/ConsoleOutput.js";
import { Acl } from "./acl.js";
import { takeMessages } from "./commands/messages.js";
import { COMMANDS, DOT_COMMANDS } from "./commands.js";
import { Abandoned, type Command, CommandContext, type SessionState } from "./context.js";
import { findByPrefix, parseLine } from "./grammar.js";
import { InputLines } from "./input.js";
import type { ConsoleDirector } from "./port.js";
import { Audit, auditText } from "./rights/audit.js";
import { RestrictedDirector } from "./rights/restricted.js";
import { RunningReports } from "./running.js";
import { SentFiles } from "./sent-files.js";

export interface SessionOptions {
  incoming: AsyncIterable<ConsoleInput>;
  /** Resolves when there is room for more. */
  send: (output: ConsoleOutput) => Promise<void>;
  /** From the console's certificate. */
  peer: { name: string; address?: string };
  director: ConsoleDirector;
  /** Receives a line per command. (Default: stderr) */
  log?: Log;
  /** Aborted when the console went away. */
  signal?: AbortSignal;
}

/** Serves one console; resolves when the session is over. Throws only what `incoming` or `send` throw. */
export async function runSession(options: SessionOptions): Promise<void> {
  const session = new Session(options);
  await session.run();
}

class Session {
  readonly #options: SessionOptions;
  readonly #director: ConsoleDirector;
  readonly #log: Log;
  readonly #audit: Audit;
  readonly #input = new InputLines();
  readonly #sent = new SentFiles(() => this.#director.config.director.workingDirectory);
  readonly #state: SessionState = {
    ...{ catalogShown: false, autodisplay: false, json: false, ended: false },
    sent: this.#sent,
  };
  readonly #reports: RunningReports;
  /** Aborted when the session is over. */
  readonly #end = new AbortController();
  /** True once the console had a resource with ACLs. */
  #restricted = false;
  /** The command that runs; aborting it makes its waits and questions fail. */
  #command: AbortController | undefined;
  /** Messages that the console was told of. */
  #told = 0;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.#director = options.director;
    this.#log = options.log ?? createLog("console");
    this.#audit = new Audit(options.peer, this.#log, options.director.messages);
    this.#reports = new RunningReports(
      () => this.#view(),
      (running) => this.#send({ running }),
    );
  }

  async run(): Promise<void> {
    void this.#pump();
    const unsubscribe = this.#director.messages.onPending(() => this.#noticeWhenIdle());
    try {
      for (;;) {
        const line = await this.#input.next();
        if (line === undefined) break;
        await this.#execute(line);
        if (this.#state.ended) {
          await this.#send({ quit: true });
          break;
        }
        await this.#noticeMessages();
        await this.#send({ ready: true });
      }
    } finally {
      unsubscribe();
      this.#sent.drop();
      this.#reports.stop();
      this.#input.close();
      this.#end.abort();
    }
  }

  #send(output: ConsoleOutput): Promise<void> {
    return this.#options.send(output);
  }

  /** Reads input until the console closes it; an end or an error abandons what runs. */
  async #pump(): Promise<void> {
    const gone = (): void => {
      this.#input.close();
      this.#command?.abort(new Abandoned("the console is gone"));
    };
    this.#options.signal?.addEventListener("abort", gone, { once: true });
    try {
      for await (const message of this.#options.incoming) {
        if (typeof message.line === "string") this.#input.push(message.line);
        else if (message.interrupt === true) this.#interrupt();
        else if (typeof message.watch === "boolean") this.#reports.watch(message.watch);
      }
    } catch (error) {
      this.#log.debug("console input ended", { console: this.#options.peer.name, err: describeError(error) });
    }
    gone();
  }

  /** Rights as of now: a reload changes them for the next command, but never into the administrator's. */
  #acl(): Acl {
    const resource = this.#director.config.consoles.get(this.#options.peer.name);
    if (resource === undefined && this.#restricted) return Acl.nothing();
    this.#restricted = resource !== undefined;
    return new Acl(resource);
  }

  /** What the console may see of the director now. */
  #view(acl = this.#acl(), signal = this.#end.signal): ConsoleDirector {
    return acl.unrestricted ? this.#director : new RestrictedDirector(this.#director, acl, signal);
  }

  #interrupt(): void {
    this.#input.clear();
    this.#command?.abort(new Abandoned("interrupted"));
  }

  async #execute(text: string): Promise<void> {
    const line = parseLine(text);
    if (line.command === "" || line.command === ".") return;
    const acl = this.#acl();
    const dotted = line.command.startsWith(".");
    const command = findByPrefix(dotted ? DOT_COMMANDS : COMMANDS, line.command);
    const controller = new AbortController();
    // A long tree dialogue makes many calls under one signal.
    setMaxListeners(0, controller.signal);
    this.#command = controller;
    const context = new CommandContext({
      director: this.#view(acl, controller.signal),
      whole: this.#director,
      console: this.#options.peer.name,
      address: hostOf(this.#options.peer.address),
      acl,
      line,
      state: this.#state,
      signal: controller.signal,
      terminal: {
        print: (out) => this.#print(out, controller.signal),
        ask: (prompt) => this.#ask(prompt, controller.signal),
      },
    });
    const allowed = command !== undefined && acl.allows("command", command.name);
    const denied = command === undefined ? "invalid command" : "not in CommandACL";
    this.#audit.command(line.text, allowed ? undefined : denied);
    const error = await this.#runCommand(context, command);
    this.#command = undefined;
    if (allowed && error !== undefined)
      this.#log.info("command not done", { console: this.#options.peer.name, why: auditText(error) });
    if (this.#state.json) await this.#sendJson(context, command?.name ?? line.command, error);
  }

  /** The reason why the command did not do its work, if so. */
  async #runCommand(context: CommandContext, command: Command | undefined): Promise<string | undefined> {
    try {
      if (command === undefined) {
        await context.say(`${context.line.command}: is an invalid command.`);
        return "invalid command";
      }
      if (!context.acl.allows("command", command.name)) {
        await context.say(`${context.line.command}: is not allowed for this console.`);
        return "not allowed";
      }
      await command.run(context);
      return undefined;
    } catch (error) {
      if (error instanceof Abandoned) return error.message || "abandoned";
      if (context.signal.aborted) return "interrupted";
      const text = describeError(error);
      if (codeOf(error) === "NOT_ALLOWED") this.#audit.command(context.line.text, text);
      if (!(error instanceof BackupError)) this.#log.error("console command failed", { err: error });
      await context.say(text);
      return text;
    }
  }

  async #sendJson(context: CommandContext, name: string, error: string | undefined): Promise<void> {
    const answer: Record<string, unknown> = { command: name, ok: error === undefined };
    if (error !== undefined) answer.error = error;
    if (Object.keys(context.data).length > 0) answer.data = context.data;
    const text = context.text.join("");
    if (text !== "" && answer.data === undefined) answer.text = text;
    await this.#send({ text: `${JSON.stringify(answer)}\n` });
  }

  async #print(text: string, signal: AbortSignal): Promise<void> {
    if (signal.aborted) throw new Abandoned("interrupted");
    // One message must stay far below the transport's limit.
    for (let at = 0; at < text.length; at += 65_536) await this.#send({ text: text.slice(at, at + 65_536) });
  }

  async #ask(prompt: string, signal: AbortSignal): Promise<string> {
    if (signal.aborted) throw new Abandoned("interrupted");
    await this.#send({ prompt: { text: prompt } });
    const answer = await this.#input.next(signal);
    if (answer === undefined) throw new Abandoned(signal.aborted ? "interrupted" : "end of input");
    return answer;
  }

  /** Tells of messages that came since the console was last told; shows them with autodisplay. */
  async #noticeMessages(): Promise<void> {
    const console = this.#options.peer.name;
    const view = this.#view();
    const pending = view.messages.pending(console);
    if (this.#state.autodisplay && pending > 0) {
      for (const text of takeMessages(view, console)) await this.#send({ text });
      this.#told = 0;
      return;
    }
    const news = pending > this.#told;
    this.#told = pending;
    if (news) await this.#send({ messages: true });
  }

  /** On a terminal also between commands, once: a running job sends many messages. */
  #noticeWhenIdle(): void {
    if (!this.#reports.watched || this.#command !== undefined || this.#told > 0) return;
    this.#noticeMessages().catch(() => undefined);
  }
}

/** The address without its port; an IPv4 address that came as IPv6 in its usual form. */
function hostOf(address = ""): string {
  const host = address.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");
  return host.replace(/^::ffff:(?=\d+\.)/, "");
}
