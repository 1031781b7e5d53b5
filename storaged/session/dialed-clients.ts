/**
 * Connections to file daemons that are made before their job calls: while the director, which has just asked what a run
 * builds on, tells the client of it. On a long line that saves what TCP and TLS take.
 */

import { monotonicMs } from "../../common/time.js";
import type { RpcChannel } from "../../proto/rpc.js";
import type { FiledPlace } from "./session-deps.js";

/** Longer than a director takes from its question to the job, unless the client has commands to run before it. */
const KEEP_MS = 30_000;
/** One that takes longer may be in the pauses of TCP: a new one is sooner there. */
const CONNECT_MS = 2000;
const MAX_RUNS = 100;

interface Dialed {
  address: string;
  dialedMs: number;
  channels: RpcChannel[];
  timer: NodeJS.Timeout;
}

const addressOf = ({ client, filedAddress, filedPort }: FiledPlace): string =>
  `${client} ${filedAddress} ${filedPort}`;

export class DialedClients {
  readonly #runs = new Map<string, Dialed>();
  readonly #open: (place: FiledPlace) => RpcChannel;
  readonly #clock: () => number;

  /** `open` makes a channel that nothing was sent on yet. */
  constructor(open: (place: FiledPlace) => RpcChannel, clock = monotonicMs) {
    this.#open = open;
    this.#clock = clock;
  }

  /** Makes `count` connections for a run. What fails shows when they are used. */
  dial(place: FiledPlace & { job: string }, count: number): void {
    this.drop(place.job);
    if (place.filedAddress === "" || place.job === "" || this.#runs.size >= MAX_RUNS) return;
    const channels = Array.from({ length: count }, () => this.#open(place));
    for (const channel of channels) channel.dial();
    const timer = setTimeout(() => this.drop(place.job), KEEP_MS).unref();
    this.#runs.set(place.job, { address: addressOf(place), dialedMs: this.#clock(), channels, timer });
  }

  /** One of a run's connections, else a new one. Whoever takes it closes it. */
  take(place: FiledPlace): RpcChannel {
    const dialed = this.#runs.get(place.job ?? "");
    const channel = dialed?.address === addressOf(place) ? dialed.channels.pop() : undefined;
    if (dialed === undefined || channel === undefined) return this.#open(place);
    const late = this.#clock() > dialed.dialedMs + CONNECT_MS;
    const { state } = channel;
    if (state === "connected" || (state === "connecting" && !late)) return channel;
    channel.close();
    return this.#open(place);
  }

  /** Closes what a run has not taken. */
  drop(job: string): void {
    const dialed = this.#runs.get(job);
    if (dialed === undefined) return;
    clearTimeout(dialed.timer);
    this.#runs.delete(job);
    for (const channel of dialed.channels) channel.close();
  }

  close(): void {
    for (const job of [...this.#runs.keys()]) this.drop(job);
  }
}
