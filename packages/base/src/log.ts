/**
 * Logging as a port: one JSON line an entry, fields rather than sentences glued together.
 *
 * Secrets never reach a logger: callers log names and identifiers, not values.
 */

export type LogLevel = "debug" | "info" | "warn" | "error";

/** Plain data; errors go under the key `error` and are written with their causes. */
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(message: string, fields?: LogFields): void;
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  /** A logger that adds `fields` to each entry. */
  with(fields: LogFields): Logger;
}

const RANK: Readonly<Record<LogLevel, number>> = { debug: 0, info: 1, warn: 2, error: 3 };

/** A logger that hands finished lines to `write`; entries below `level` are dropped. */
export function lineLogger(options: {
  readonly write: (line: string) => void;
  readonly now: () => number;
  readonly level?: LogLevel;
  readonly fields?: LogFields;
}): Logger {
  const threshold = RANK[options.level ?? "info"];
  const emit = (level: LogLevel, message: string, fields?: LogFields) => {
    if (RANK[level] < threshold) return;
    const entry = { time: new Date(options.now()).toISOString(), level, message };
    options.write(`${JSON.stringify({ ...entry, ...options.fields, ...fields }, plainErrors)}\n`);
  };
  return {
    debug: (message, fields) => emit("debug", message, fields),
    info: (message, fields) => emit("info", message, fields),
    warn: (message, fields) => emit("warn", message, fields),
    error: (message, fields) => emit("error", message, fields),
    with: (fields) => lineLogger({ ...options, fields: { ...options.fields, ...fields } }),
  };
}

/** Discards everything. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  with: () => silentLogger,
};

function plainErrors(_key: string, value: unknown): unknown {
  if (!(value instanceof Error)) return value;
  const cause = value.cause === undefined ? {} : { cause: value.cause };
  const code = "code" in value ? { code: value.code } : {};
  return { name: value.name, message: value.message, ...code, stack: value.stack, ...cause };
}
