/** Deadlines on the clock port: `AbortSignal.timeout` would run on the machine's own clock. */

import type { Clock } from "@berth/base";
import { ProtocolError } from "@berth/protocol";

/**
 * Runs `work` with a signal that aborts with `parent`, or with `timed_out` after `ms`. A `work` that does
 * not follow its signal is given up: the promise rejects all the same.
 */
export async function withDeadline<T>(
  clock: Clock,
  options: { readonly ms: number; readonly what: string; readonly parent: AbortSignal },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const { ms, what, parent } = options;
  parent.throwIfAborted();
  const controller = new AbortController();
  const giveUp = Promise.withResolvers<never>();
  const abort = (reason: unknown) => {
    controller.abort(reason);
    giveUp.reject(reason);
  };
  const onParent = () => abort(parent.reason);
  parent.addEventListener("abort", onParent, { once: true });
  const cancel = clock.setTimer(ms, () =>
    abort(new ProtocolError("timed_out", `${what} took longer than ${ms} ms`, { timeoutMs: ms })),
  );
  try {
    return await Promise.race([work(controller.signal), giveUp.promise]);
  } finally {
    cancel();
    parent.removeEventListener("abort", onParent);
  }
}
