/**
 * Files of traces: one JSON object a line, read as a stream so that millions of lines need no text of their size,
 * written in large pieces.
 */

import { once } from "node:events";
import { createReadStream, createWriteStream, type WriteStream } from "node:fs";
import { ProtocolError } from "@berth/protocol";
import { TraceError } from "@berth/scheduler/trace/fields";

/** After so many the rest of a file is not read. */
const PROBLEMS_MAX = 20;
/** A node with ten thousand labels, an ask with ten thousand limits; more is not a trace. */
const LINE_CHARS_MAX = 16 * 1024 * 1024;
/** Written at a time. */
const PIECE_CHARS = 64 * 1024;

/**
 * Calls `take` with what `read` makes of each line; empty lines are passed over. Throws one error that names
 * file, line and field of every problem (the first `PROBLEMS_MAX`). `-` is standard input.
 */
export async function readTrace<T>(
  path: string,
  read: (value: unknown) => T,
  take: (item: T) => void,
): Promise<void> {
  const problems: string[] = [];
  let line = 0;
  const parse = (text: string) => {
    line++;
    if (text.trim() === "" || problems.length >= PROBLEMS_MAX) return;
    try {
      take(read(JSON.parse(text)));
    } catch (error) {
      if (!(error instanceof TraceError || error instanceof SyntaxError)) throw error;
      problems.push(`${path}:${line}: ${error.message}`);
    }
  };
  const { stream, opened } = open(path);
  await opened;
  let rest = "";
  for await (const chunk of stream) {
    const lines = `${rest}${String(chunk)}`.split("\n");
    rest = lines.pop() ?? "";
    if (rest.length > LINE_CHARS_MAX) {
      problems.push(`${path}:${line + lines.length + 1}: longer than ${LINE_CHARS_MAX} characters`);
      break;
    }
    for (const text of lines) parse(text);
  }
  if (rest !== "") parse(rest);
  if (problems.length > 0) {
    throw new ProtocolError("invalid_request", `${path} is not a trace that berth sim reads`, {
      problems,
    });
  }
}

function open(path: string) {
  if (path === "-") {
    process.stdin.setEncoding("utf8");
    return { stream: process.stdin, opened: Promise.resolve() };
  }
  const stream = createReadStream(path, { encoding: "utf8", highWaterMark: 1024 * 1024 });
  const opened = once(stream, "open").then(
    () => {},
    (error: unknown) => {
      const why = error instanceof Error ? error.message : String(error);
      throw new ProtocolError("invalid_request", `cannot read ${path}: ${why}`);
    },
  );
  return { stream, opened };
}

/** Writes lines; `close` resolves when all of them are in the file. */
export class LineWriter {
  readonly #path: string;
  readonly #stream: WriteStream;
  readonly #failed: Promise<never>;
  #pieces: string[] = [];
  #chars = 0;

  constructor(path: string) {
    this.#path = path;
    this.#stream = createWriteStream(path);
    this.#failed = once(this.#stream, "error").then(([error]: unknown[]) => {
      const why = error instanceof Error ? error.message : String(error);
      throw new ProtocolError("invalid_request", `cannot write ${this.#path}: ${why}`);
    });
    // Whoever closes hears of it.
    this.#failed.catch(() => {});
  }

  write(value: unknown): void {
    const text = JSON.stringify(value);
    this.#pieces.push(text);
    this.#chars += text.length;
    if (this.#chars >= PIECE_CHARS) this.#flush();
  }

  async close(): Promise<void> {
    this.#flush();
    const ended = new Promise<void>((resolve) => this.#stream.end(resolve));
    await Promise.race([ended, this.#failed]);
  }

  #flush(): void {
    if (this.#pieces.length > 0) this.#stream.write(`${this.#pieces.join("\n")}\n`);
    this.#pieces = [];
    this.#chars = 0;
  }
}
