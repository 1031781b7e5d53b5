/**
 * Logging to stderr through pino: plain lines for people, JSON for collectors. Messages for operators (job
 * reports) are not logs; they travel as Messages.
 * Secrets are never logged: values under the names below are masked, PEM private keys are cut out of any text.
 */

import { pino } from "pino";
import { baculaTime, nowMs } from "./time.js";
import { orderedLevel, traceLine } from "./trace.js";

export type LogLevel = "trace" | "debug" | "info" | "warn" | "error" | "fatal" | "silent";
export type LogFields = Readonly<Record<string, unknown>>;

/** `log.info("text")` or `log.info("text", {jobId: 7})`; an Error goes under `err`. */
export interface Log {
  trace(message: string, fields?: LogFields): void;
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  fatal(message: string, fields?: LogFields): void;
  /** A log whose lines carry these fields too, such as `{scope: "queue", jobId: 7}`. */
  child(fields: LogFields): Log;
}

export interface LogOptions {
  /** (Default: BASALT_LOG_LEVEL, else info) */
  level?: LogLevel;
  /** `json` or `text`. (Default: BASALT_LOG_FORMAT, else text) */
  format?: "json" | "text";
  /** Receives finished lines, each with its newline. (Default: stderr, written synchronously) */
  write?: (line: string) => void;
}

const SECRET_NAMES = [
  "password",
  "passphrase",
  "secret",
  "token",
  "ticket",
  "key",
  "privateKey",
  "authorization",
];
const SECRET_PATHS = SECRET_NAMES.flatMap((name) => [name, `*.${name}`]);
const PEM_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g;

/** A log of one daemon; `scope` is its name or the part of it that speaks. */
export function createLog(scope: string, options: LogOptions = {}): Log {
  const level = options.level ?? levelFromEnvironment();
  const format = options.format ?? (process.env.BASALT_LOG_FORMAT === "json" ? "json" : "text");
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const usual = pino.levels.values[level] ?? Number.POSITIVE_INFINITY;
  const sink = {
    write: (line: string) => {
      const finished = maskKeys(format === "json" ? line : plainLine(line));
      // What only `setdebug` lets through goes to the trace file alone, if there is one.
      const extra = (pino.levels.values[LEVEL.exec(line)?.[1] ?? ""] ?? usual) < usual;
      if (!traceLine(finished) || !extra) write(finished);
    },
  };
  const logger = pino(
    {
      level,
      base: null,
      timestamp: () => `,"time":${nowMs()}`,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { err: pino.stdSerializers.err },
      redact: { paths: SECRET_PATHS, censor: "[masked]" },
    },
    sink,
  );
  return wrap(logger, { scope });
}

/** How pino begins a line. */
const LEVEL = /^\{"level":"(\w+)"/;

function levelFromEnvironment(): LogLevel {
  const wanted = process.env.BASALT_LOG_LEVEL?.toLowerCase() ?? "info";
  return wanted === "silent" || wanted in pino.levels.values ? (wanted as LogLevel) : "info";
}

/** Children start from the root again, so that a field given twice appears once, with its last value. */
function wrap(root: pino.Logger, fields: LogFields): Log {
  const logger = root.child(fields);
  const at = (level: Exclude<LogLevel, "silent">) => (message: string, more?: LogFields) => {
    const wanted = root.level === "silent" ? root.level : (orderedLevel() ?? root.level);
    if (logger.level !== wanted) logger.level = wanted;
    logger[level](more ?? {}, message);
  };
  return {
    trace: at("trace"),
    debug: at("debug"),
    info: at("info"),
    warn: at("warn"),
    error: at("error"),
    fatal: at("fatal"),
    child: (more) => wrap(root, { ...fields, ...more }),
  };
}

function maskKeys(line: string): string {
  return line.includes("PRIVATE KEY") ? line.replace(PEM_KEY, "[masked]") : line;
}

const HIDDEN_FIELDS = new Set(["level", "time", "scope", "msg", "err"]);

/** `2026-11-21 03:23:28 warn  director: text jobId=7`, then the error's stack when it is a defect. */
function plainLine(json: string): string {
  const record = JSON.parse(json) as Record<string, unknown>;
  const level = String(record.level).padEnd(5);
  const rest = Object.entries(record)
    .filter(([name]) => !HIDDEN_FIELDS.has(name))
    .map(
      ([name, value]) => ` ${name}=${typeof value === "string" ? plainValue(value) : JSON.stringify(value)}`,
    )
    .join("");
  const head = `${baculaTime(Number(record.time))} ${level} ${record.scope}: ${record.msg}${rest}`;
  return `${head}${errorText(record.err)}\n`;
}

function plainValue(text: string): string {
  return /^[^\s"=]+$/.test(text) ? text : JSON.stringify(text);
}

function errorText(error: unknown): string {
  if (typeof error !== "object" || error === null) return "";
  const { type, message, stack } = error as { type?: string; message?: string; stack?: string };
  const expected = type === "BackupError" || type === "ConfigError";
  return expected ? `: ${message}` : `\n  ${(stack ?? message ?? "").replaceAll("\n", "\n  ")}`;
}
