/**
 * Notices the end of a process that is nobody's child: a connection to its socket is held, which the kernel closes
 * with the process. Costs nothing while it lives. A server that closes idle connections gives a false alarm now and
 * then: whoever is told looks for himself, and begins anew.
 */

import { connect, type Socket } from "node:net";

export class EndWatch {
  readonly #socketPath: string;
  readonly #onEnd: () => void;
  #socket: Socket | undefined;

  /** `onEnd`: the process has ended, or closed the connection. */
  constructor(socketPath: string, onEnd: () => void) {
    this.#socketPath = socketPath;
    this.#onEnd = onEnd;
  }

  /**
   * Begins, unless it has begun. A process that does not listen has ended. Keeps no process alive; after `signal`
   * nothing is told.
   */
  open(signal: AbortSignal): void {
    if (this.#socket !== undefined) return;
    const socket = connect({ path: this.#socketPath, signal });
    this.#socket = socket;
    // Nothing is asked on it, and what is said on it is nobody's.
    socket.resume();
    socket.unref();
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#socket = undefined;
      if (!signal.aborted) this.#onEnd();
    });
  }
}
