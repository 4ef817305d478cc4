/**
 * Where a process's output goes. Files and pipes are written directly: Node's own streams for them cost more to make
 * (3 to 5 ms) than most commands have to write. Terminals keep the stream, which knows their width.
 */

import { fstatSync, writeSync } from "node:fs";
import { ProtocolError } from "@berth/protocol";
import { EXIT } from "../exit-code.ts";

/** One of the process's outputs. */
export interface Sink {
  /** All of it is written before the call returns, but where the reader is slow and said so. */
  write(chunk: string | Uint8Array): void;
  /** The stream of a terminal; `undefined` where there is none. */
  readonly terminal: NodeJS.WriteStream | undefined;
}

/** Takes a part of `bytes` to the descriptor; answers how many bytes it took. */
export type WriteBytes = (bytes: Uint8Array) => number;

/** Standard output (1) or standard error (2). A reader of results that goes away ends the process: `berth logs | head`. */
export function processSink(descriptor: 1 | 2): Sink {
  let stream: NodeJS.WriteStream | undefined;
  const streamOf = () => {
    if (stream !== undefined) return stream;
    stream = descriptor === 1 ? process.stdout : process.stderr;
    stream.on("error", (error: NodeJS.ErrnoException) => {
      if (descriptor !== 1) return;
      if (error.code === "EPIPE") process.exit(0);
      processSink(2).write(`${notWritten(error).message}\n`);
      process.exit(EXIT.failed);
    });
    return stream;
  };
  const terminal = fstatSync(descriptor).isCharacterDevice() ? streamOf() : undefined;
  if (terminal !== undefined) {
    return {
      write: (chunk) => void terminal.write(chunk),
      terminal: terminal.isTTY ? terminal : undefined,
    };
  }
  return {
    terminal: undefined,
    write: directWriter({
      writeBytes: (bytes) => writeSync(descriptor, bytes),
      later: (bytes) => void streamOf().write(bytes),
      readerIsGone: () => {
        if (descriptor === 1) process.exit(0);
      },
    }),
  };
}

/** Writes until all is written; what a full pipe does not take at once, and all after it, goes to `later`, in order. */
export function directWriter(port: {
  readonly writeBytes: WriteBytes;
  readonly later: (bytes: Uint8Array) => void;
  readonly readerIsGone: () => void;
}): (chunk: string | Uint8Array) => void {
  let isFull = false;
  return (chunk) => {
    let rest = typeof chunk === "string" ? Buffer.from(chunk) : chunk;
    while (rest.length > 0 && !isFull) {
      try {
        rest = rest.subarray(port.writeBytes(rest));
      } catch (error) {
        const code = error instanceof Error && "code" in error ? error.code : undefined;
        if (code === "EPIPE") return port.readerIsGone();
        if (code !== "EAGAIN") throw notWritten(error);
        isFull = true;
      }
    }
    if (rest.length > 0) port.later(rest);
  };
}

/** A disk that is full, most of the time: what was written is not all. */
function notWritten(error: unknown): ProtocolError {
  const isFull = error instanceof Error && "code" in error && error.code === "ENOSPC";
  const why = error instanceof Error ? error.message : String(error);
  const message = `the output cannot be written: ${why}`;
  return new ProtocolError(isFull ? "storage_full" : "unavailable", message, {}, { cause: error });
}
