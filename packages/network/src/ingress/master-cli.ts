/**
 * The command socket of HAProxy's master: one connection per batch of commands, answers as text.
 *
 * The master forwards `@1 ...` to the current worker and `@!PID ...` to one that a reload left behind, so
 * this one socket reaches all of them, and it survives reloads. A connection that is only held tells of
 * the master's death (or reload) at once: it is closed.
 */

import { connect } from "node:net";
import { type Clock, sleep } from "@berth/base";
import { ProtocolError } from "@berth/protocol/errors";

export interface MasterCli {
  /** Runs one command and returns all it says. Rejects when the master cannot be reached in time. */
  readonly ask: (command: string) => Promise<string>;
  /** Runs commands in order on one connection; what they say comes back unseparated. */
  readonly run: (commands: readonly string[]) => Promise<string>;
  /** Calls `onClose` once when the master ends or reloads; returns how to stop watching. */
  readonly watch: (onClose: () => void) => () => void;
}

/** Commands take a millisecond, under full load four; a master that is silent for this long hangs. */
const COMMAND_TIMEOUT_MS = 5_000;
/** 10,000 servers are 2 MB of `show stat`. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024;
/** Most answers are smaller. */
const READ_BYTES = 4 * 1024;
/** Lines sent at once: HAProxy reads commands into one buffer of 16 KiB. */
const BATCH_BYTES_MAX = 8 * 1024;

export function masterCli(socketPath: string, clock: Clock): MasterCli {
  const ask = (text: string) => askSocket(socketPath, text, clock);
  return {
    ask: (command) => ask(`${command}\n`),
    async run(commands) {
      let said = "";
      for (const batch of batches(commands)) said += await ask(batch);
      return said;
    },
    watch(onClose) {
      const socket = connect(socketPath);
      socket.on("error", () => {});
      socket.once("close", onClose);
      socket.resume();
      return () => {
        socket.removeListener("close", onClose);
        socket.destroy();
      };
    },
  };
}

function* batches(commands: readonly string[]): Generator<string> {
  let batch = "";
  for (const command of commands) {
    if (batch.length + command.length + 1 > BATCH_BYTES_MAX) {
      yield batch;
      batch = "";
    }
    batch += `${command}\n`;
  }
  if (batch !== "") yield batch;
}

async function askSocket(socketPath: string, text: string, clock: Clock): Promise<string> {
  const cancel = new AbortController();
  const answer = exchange(socketPath, text, cancel.signal);
  try {
    return await Promise.race([
      answer,
      sleep(clock, COMMAND_TIMEOUT_MS, cancel.signal).then(() => {
        const details = { command: text.slice(0, 60).trim(), timeoutMs: COMMAND_TIMEOUT_MS };
        throw new ProtocolError("timed_out", "HAProxy did not answer in time", details);
      }),
    ]);
  } finally {
    cancel.abort();
  }
}

function exchange(socketPath: string, text: string, signal: AbortSignal): Promise<string> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    const socket = connect({
      path: socketPath,
      // A buffer of our size: Node's own is 64 KiB for each connection, garbage that piles up to 80 MB.
      onread: {
        buffer: Buffer.allocUnsafe(READ_BYTES),
        callback(bytes, buffer) {
          sizeBytes += bytes;
          if (sizeBytes > ANSWER_BYTES_MAX) socket.destroy(new Error("answer over the limit"));
          else chunks.push(Buffer.from(buffer.subarray(0, bytes)));
          return true;
        },
      },
    });
    signal.addEventListener("abort", () => socket.destroy(), { once: true });
    socket.on("error", reject);
    socket.on("close", () => resolve(Buffer.concat(chunks).toString()));
    // Half-closed: the master runs what it has got and then closes its side.
    socket.end(text);
  });
}
