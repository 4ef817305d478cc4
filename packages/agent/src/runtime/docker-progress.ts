/**
 * The lines of a pull or build: bytes summed over layers, text lines, the failure at the end.
 *
 * The Engine reports each layer apart and many times a second; callers get at most ten sums a second. A
 * stream that says nothing for `STALL_MS` has stalled: registries that stop sending never end by themselves.
 */

import type { Clock } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import type { EngineCall, EngineClient } from "./docker-client.ts";
import { numberAt, textAt } from "./docker-json.ts";
import { jsonLinesOf } from "./docker-stream.ts";
import type { ImageProgress } from "./port.ts";

export interface ProgressOptions {
  readonly clock: Clock;
  readonly onProgress: ((progress: ImageProgress) => void) | undefined;
  readonly signal: AbortSignal | undefined;
}

/** How it ended. */
export interface ProgressEnd {
  /** The engine's words when it failed. */
  readonly failure?: string;
  /** Identifier of a built image. */
  readonly imageId?: string;
  /** The last step that was begun, of a build. */
  readonly step?: string;
  readonly lastLines: readonly string[];
}

/** Ten a second, as the port says. */
const PROGRESS_INTERVAL_MS = 100;
/** A compiler may be silent for minutes; a registry on a slow line sends something each minute. */
const STALL_MS = 15 * 60_000;
/** Lines of a failed build that are kept for its message. */
const LAST_LINES_MAX = 30;

/** Makes the call and reads its lines to the end. */
export async function followProgress(
  client: Pick<EngineClient, "open">,
  call: EngineCall,
  options: ProgressOptions,
): Promise<ProgressEnd> {
  const { clock, signal } = options;
  const abort = new AbortController();
  const onAbort = () => abort.abort(signal?.reason);
  signal?.addEventListener("abort", onAbort, { once: true });
  const stalled = () => abort.abort(stall(call.context));
  let cancel = clock.setTimer(STALL_MS, stalled);
  const reading = new ProgressReading(clock, options.onProgress);
  try {
    signal?.throwIfAborted();
    const timeoutMs = STALL_MS;
    const lines = await client.open({ ...call, signal: abort.signal, timeoutMs });
    for await (const line of jsonLinesOf(lines)) {
      cancel();
      cancel = clock.setTimer(STALL_MS, stalled);
      reading.read(line);
    }
    return reading.end();
  } finally {
    cancel();
    signal?.removeEventListener("abort", onAbort);
  }
}

class ProgressReading {
  readonly #clock: Clock;
  readonly #onProgress: ((progress: ImageProgress) => void) | undefined;
  readonly #layers = new Map<string, { done: number; total: number }>();
  #lastAt = Number.NEGATIVE_INFINITY;
  #lines: string[] = [];
  #failure: string | undefined;
  #imageId: string | undefined;
  #step: string | undefined;

  constructor(clock: Clock, onProgress: ((progress: ImageProgress) => void) | undefined) {
    this.#clock = clock;
    this.#onProgress = onProgress;
  }

  read(line: unknown): void {
    const failure = textAt(line, "errorDetail", "message") ?? textAt(line, "error");
    if (failure !== undefined) this.#failure = failure;
    this.#imageId = textAt(line, "aux", "ID") ?? this.#imageId;
    const text = textAt(line, "stream");
    if (text !== undefined) this.#say(text);
    const layer = textAt(line, "id");
    if (layer !== undefined) this.#count(layer, line);
  }

  end(): ProgressEnd {
    this.#report(true);
    return {
      ...(this.#failure === undefined ? {} : { failure: this.#failure }),
      ...(this.#imageId === undefined ? {} : { imageId: this.#imageId }),
      ...(this.#step === undefined ? {} : { step: this.#step }),
      lastLines: this.#lines,
    };
  }

  #say(text: string): void {
    for (const line of text.split("\n")) {
      const plain = line.trimEnd();
      if (plain === "") continue;
      if (plain.startsWith("Step ")) this.#step = plain.slice("Step ".length);
      this.#lines.push(plain);
      if (this.#lines.length > LAST_LINES_MAX) this.#lines.shift();
      this.#onProgress?.({ line: plain });
    }
  }

  #count(layer: string, line: unknown): void {
    const status = textAt(line, "status") ?? "";
    const known = this.#layers.get(layer) ?? { done: 0, total: 0 };
    if (status === "Downloading") {
      known.done = numberAt(line, "progressDetail", "current") ?? known.done;
      known.total = numberAt(line, "progressDetail", "total") ?? known.total;
    } else if (status === "Download complete" || status === "Pull complete") {
      known.done = known.total;
    }
    this.#layers.set(layer, known);
    this.#report(false);
  }

  #report(always: boolean): void {
    if (this.#onProgress === undefined || this.#layers.size === 0) return;
    const now = this.#clock.monotonic();
    if (!always && now - this.#lastAt < PROGRESS_INTERVAL_MS) return;
    this.#lastAt = now;
    let doneBytes = 0;
    let totalBytes = 0;
    for (const { done, total } of this.#layers.values()) {
      doneBytes += done;
      totalBytes += total;
    }
    if (totalBytes > 0) this.#onProgress({ doneBytes, totalBytes });
  }
}

function stall(context: string): ProtocolError {
  return new ProtocolError("timed_out", `${context}: nothing was heard for ${STALL_MS} ms`, {
    timeoutMs: STALL_MS,
  });
}
