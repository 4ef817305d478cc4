/** The thread of direct-thread.ts as this process sees it: begun when it is needed, ended when it is not. */

import { Worker } from "node:worker_threads";
import { type CancelTimer, type Clock, SECOND_MS } from "@berth/base";
import type {
  DirectOutcome,
  DirectThreadData,
  DirectWork,
  FromDirectThread,
  ToDirectThread,
} from "./direct-thread.ts";

/** Without a start for this long the thread ends: it keeps some megabytes. */
const IDLE_MS = 10 * SECOND_MS;
/** Its data are a handful of paths. */
const LIMITS = { maxYoungGenerationSizeMb: 1, maxOldGenerationSizeMb: 16 } as const;

export interface DirectConnectorOptions {
  readonly clock: Clock;
  /** On a volatile disk; made by the caller. */
  readonly folder: string;
  /** Where a bundle has the thread's module. */
  readonly workerUrl?: URL;
}

export class DirectConnector {
  readonly #options: DirectConnectorOptions;
  readonly #waiting = new Map<string, (outcome: DirectOutcome) => void>();
  #worker: Worker | undefined;
  #ready: Promise<boolean> = Promise.resolve(false);
  #cancelEnd: CancelTimer | undefined;

  constructor(options: DirectConnectorOptions) {
    this.#options = options;
  }

  /** A start will come. Resolves once the thread looks; false when it could not be begun. */
  begin(): Promise<boolean> {
    this.#endLater();
    if (this.#worker !== undefined) return this.#ready;
    const url = this.#options.workerUrl ?? new URL("./direct-thread.ts", import.meta.url);
    const workerData: DirectThreadData = { folder: this.#options.folder };
    const worker = new Worker(url, { name: "direct-start", resourceLimits: LIMITS, workerData });
    const ready = Promise.withResolvers<boolean>();
    worker.on("message", (message: FromDirectThread) => {
      if (message.kind === "ready") return ready.resolve(true);
      // Its program for links lives on for a moment, and must end before it.
      this.#endLater();
      this.#settle(message.id, message.outcome);
    });
    const onEnd = () => {
      ready.resolve(false);
      this.#lost(worker);
    };
    worker.on("error", onEnd);
    worker.on("exit", onEnd);
    // After the listeners, which would take it back: the thread alone keeps no process alive.
    worker.unref();
    this.#worker = worker;
    this.#ready = ready.promise;
    return this.#ready;
  }

  /** After `begin`: connects the container once its first process is there, at the latest when `ended` settles. */
  connect(id: string, work: DirectWork, ended: Promise<unknown>): Promise<DirectOutcome> {
    const done = new Promise<DirectOutcome>((resolve) => this.#waiting.set(id, resolve));
    if (this.#worker === undefined) this.#settle(id, { kind: "unseen" });
    this.#post({ kind: "connect", id, ...work });
    const over = () => this.#post({ kind: "over", id });
    ended.then(over, over);
    return done;
  }

  #post(message: ToDirectThread): void {
    this.#worker?.postMessage(message);
  }

  #settle(id: string, outcome: DirectOutcome): void {
    this.#waiting.get(id)?.(outcome);
    this.#waiting.delete(id);
  }

  #lost(worker: Worker): void {
    if (this.#worker !== worker) return;
    this.#worker = undefined;
    for (const id of [...this.#waiting.keys()]) this.#settle(id, { kind: "unseen" });
  }

  #endLater(): void {
    this.#cancelEnd?.();
    this.#cancelEnd = this.#options.clock.setTimer(IDLE_MS, () => this.#endIfIdle());
  }

  #endIfIdle(): void {
    if (this.#waiting.size > 0) {
      void this.begin();
      return;
    }
    const worker = this.#worker;
    this.#worker = undefined;
    void worker?.terminate();
  }
}
