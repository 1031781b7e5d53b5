/** How a client of the tests sends its tree. */

/** Moments at which a test may hold a job or look around. */
export type Moment = "lists" | "claimed" | "sent" | "rows" | "end";

export interface ModelFiledOptions {
  /** Awaited when the job has got that far. */
  reached?: (moment: Moment) => Promise<void> | void;
  /** Awaited before each message that filed sends. */
  beforeSend?: () => Promise<void>;
  /** Files per frame. (Default: 4) */
  filesPerFrame?: number;
  /** Ends early: only so many entries are sent, with a mark behind them, and the client says so or its connection breaks. */
  leaves?: { entries: number; how: "stop" | "cut" };
  /** So many entries at a time, with their content before and a mark behind them. (Default: all, without a mark) */
  marks?: number;
  /** Sends other bytes than it claims to, under the right digests, as a taken-over hypervisor might. */
  lies?: boolean;
}
