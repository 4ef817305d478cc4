/** A process that runs the seeds that it is asked for, one after the other (`run-range.ts`). */

import type { SeedAnswer, SeedRequest } from "./run-range.ts";
import { runSeed } from "./run-seed.ts";

function answer(message: SeedAnswer): void {
  process.send?.(message);
}

process.on("message", (request: SeedRequest) => {
  const { seed, ...options } = request;
  runSeed(seed, options).then(
    // The trace is large, and is made again by who wants it.
    (result) => answer({ kind: "done", result: { ...result, trace: [] } }),
    (error: unknown) => {
      const words = error instanceof Error ? (error.stack ?? error.message) : String(error);
      answer({ kind: "failed", seed, error: words });
    },
  );
});
