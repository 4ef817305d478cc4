/** A command inside a fake container, as a stream of bytes. */

import { Channel } from "./channel.ts";
import type { FakeCommandResult } from "./fake-program.ts";
import type { ExecStream } from "./port.ts";

interface Chunk {
  readonly stream: "stdout" | "stderr";
  readonly bytes: Uint8Array;
}

export interface FakeCommandStream extends ExecStream {
  /** How long the command takes. */
  readonly durationMs: number;
}

/** Input that waits for a slow reader. */
const CHUNKS_MAX = 10_000;

/** Plays `result`; a command that echoes its input ends with it. */
export function fakeCommandStream(result: FakeCommandResult): FakeCommandStream {
  const channel = new Channel<Chunk>({
    limit: CHUNKS_MAX,
    overflow: () => new RangeError("nobody reads the output of a fake command"),
  });
  const say = (stream: Chunk["stream"], text: string) => {
    if (text !== "") channel.push({ stream, bytes: Buffer.from(text) });
  };
  say("stdout", result.stdout);
  say("stderr", result.stderr ?? "");
  const echoes = result.echoesInput === true;
  if (!echoes) channel.end();
  return {
    durationMs: result.durationMs ?? 0,
    output: () => channel,
    write: async (bytes) => {
      if (echoes) channel.push({ stream: "stdout", bytes });
    },
    endInput: () => channel.end(),
    resize: async () => {},
    exitCode: async () => result.exitCode,
    close: () => channel.end(),
  };
}
