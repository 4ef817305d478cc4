/**
 * Work on this node that is no task: pinning images, removing volumes. An operation is done until its
 * result was taken by the server; after a restart of the agent an unfinished one is done again.
 */

import {
  type Clock,
  type Driver,
  formatBytes,
  type Logger,
  type Loop,
  type LoopResult,
} from "@berth/base";
import {
  type ApiClient,
  asProtocolError,
  type HostPortWish,
  type Operation,
  type OperationReport,
  type PinnedImage,
  ProtocolError,
} from "@berth/protocol";
import type { HostFacts } from "../host-facts.ts";
import type { ImageFetcher } from "../images/image-fetcher.ts";
import type { ImageLedger } from "../images/image-ledger.ts";
import type { TakenPort } from "../net/port-check.ts";
import { withDeadline } from "../task/deadline.ts";
import { type ImageResolver, resolveImages } from "./resolve-images.ts";
import type { VolumeTransfers } from "./volume-transfers.ts";

/** A build of a large image on a slow machine; beyond it something hangs. */
const OPERATION_TIMEOUT_MS = 60 * 60_000;
/** A volume of 8 TiB at 100 MB/s; one that stands still ends by its connection. */
const RECEIVE_TIMEOUT_MS = 24 * OPERATION_TIMEOUT_MS;
/** Progress is reported at most twice a second: it is for eyes. */
const PROGRESS_PERIOD_MS = 500;
/** Pause after results that the server did not take: somebody waits for them. */
const RESEND_MS = 1_000;

export interface OperationsOptions {
  readonly api: Pick<ApiClient, "call">;
  readonly node: string;
  readonly clock: Clock;
  readonly driver: Driver;
  readonly log: Logger;
  readonly volumes: Pick<VolumeTransfers, "remove" | "receive">;
  readonly resolver: ImageResolver;
  readonly fetcher: Pick<ImageFetcher, "ensure">;
  readonly ledger: Pick<ImageLedger, "noteOwn">;
  readonly portsTaken: HostFacts["portsTaken"];
}

/** `port 8080/tcp is held by nginx (process 812)` */
function takenText({ wish, holder }: TakenPort): string {
  const address = wish.address === "0.0.0.0" ? "" : `${wish.address}:`;
  const who = holder === undefined ? "another program" : `${holder.name} (process ${holder.pid})`;
  return `port ${address}${wish.port}/${wish.protocol} is held by ${who}`;
}

/** `shop/web:1: 12 MiB of 40 MiB` */
function progressText(reference: string, doneBytes: number, totalBytes: number | undefined) {
  const total = totalBytes === undefined ? "" : ` of ${formatBytes(totalBytes)}`;
  return `${reference}: ${formatBytes(doneBytes)}${total}`;
}

export class Operations {
  readonly #options: OperationsOptions;
  readonly #running = new Map<string, AbortController>();
  /** Done in this life: a late echo of the pending state does not begin them again. */
  readonly #done = new Set<string>();
  /** Results that the server has not taken yet. */
  readonly #unsent = new Map<string, OperationReport>();
  readonly #loop: Loop;

  constructor(options: OperationsOptions) {
    this.#options = options;
    this.#loop = options.driver.add({
      name: "operation-results",
      purpose: "Brings results of operations to the server, until it has taken them.",
      run: (signal) => this.#sendAll(signal),
    });
  }

  /** What the server wants done, and what exists no more. */
  follow(put: readonly Operation[], gone: readonly string[]): void {
    for (const id of gone) {
      this.#running.get(id)?.abort(new Error("the operation was withdrawn"));
      this.#unsent.delete(id);
      this.#done.delete(id);
    }
    for (const operation of put) {
      const isOpen = operation.state === "pending" || operation.state === "running";
      if (!isOpen || this.#done.has(operation.id) || this.#running.has(operation.id)) continue;
      void this.#perform(operation);
    }
  }

  /** Contact is back: no reason to go on waiting. */
  resend(): void {
    this.#loop.wake();
  }

  stop(): void {
    for (const abort of this.#running.values()) abort.abort(new Error("the agent stops"));
  }

  async #perform(operation: Operation): Promise<void> {
    const { clock, log } = this.#options;
    const { id } = operation;
    const abort = new AbortController();
    this.#running.set(id, abort);
    let report: OperationReport;
    try {
      const isLong = operation.input.kind === "receive-volume";
      const ms = isLong ? RECEIVE_TIMEOUT_MS : OPERATION_TIMEOUT_MS;
      const limit = { ms, what: operation.input.kind, parent: abort.signal };
      report = await withDeadline(clock, limit, (signal) => this.#do(operation, signal));
    } catch (cause) {
      const { code, message, details } = asProtocolError(cause);
      log.warn("operation failed", { operation: id, kind: operation.input.kind, error: cause });
      report = { state: "failed", error: { code, message, details } };
    } finally {
      this.#running.delete(id);
    }
    if (abort.signal.aborted) return;
    this.#done.add(id);
    this.#unsent.set(id, report);
    this.#loop.wake();
  }

  async #do(operation: Operation, signal: AbortSignal): Promise<OperationReport> {
    const { input } = operation;
    switch (input.kind) {
      case "resolve-images": {
        await this.#refuseTakenPorts(input.ports ?? []);
        const say = this.#progressOf(operation.id, signal);
        const work = { project: operation.project, wishes: input.images };
        const images = await resolveImages(this.#options.resolver, work, say, signal);
        return { state: "done", images };
      }
      case "fetch-images": {
        const say = this.#progressOf(operation.id, signal);
        await this.#fetchImages(operation.project, input.images, say, signal);
        return { state: "done" };
      }
      case "remove-volume":
        await this.#options.volumes.remove(input.engineName, signal);
        return { state: "done" };
      case "receive-volume": {
        const say = this.#progressOf(operation.id, signal);
        const received = await this.#options.volumes.receive({ ...operation, input }, say, signal);
        return { state: "done", received };
      }
    }
  }

  /** One after the other: tasks of the node have the line first. */
  async #fetchImages(
    project: string,
    images: readonly PinnedImage[],
    say: (line: string) => void,
    signal: AbortSignal,
  ): Promise<void> {
    const { fetcher, ledger, clock, resolver } = this.#options;
    for (const image of images) {
      let isFetched = false;
      const { imageId } = await fetcher.ensure(image, {
        auth: () => resolver.credentials.authFor(project, image.reference),
        onProgress: ({ doneBytes, totalBytes }) => {
          isFetched = true;
          if (doneBytes !== undefined) say(progressText(image.reference, doneBytes, totalBytes));
        },
        signal,
      });
      if (isFetched) await ledger.noteOwn(imageId, clock.now());
    }
  }

  /** Before images are pulled or built, which takes longer. */
  async #refuseTakenPorts(ports: readonly HostPortWish[]): Promise<void> {
    const taken = await this.#options.portsTaken(ports);
    if (taken.length === 0) return;
    const problems = taken.map((each) => ({ path: each.wish.path, message: takenText(each) }));
    const message = problems.map((problem) => problem.message).join("; ");
    throw new ProtocolError("port_taken", message, { node: this.#options.node, problems });
  }

  /** Sends the last line of progress, at most so often; lost lines do not matter. */
  #progressOf(id: string, signal: AbortSignal): (line: string) => void {
    const { clock } = this.#options;
    let sentAt = Number.NEGATIVE_INFINITY;
    return (line) => {
      const now = clock.monotonic();
      if (now - sentAt < PROGRESS_PERIOD_MS) return;
      sentAt = now;
      const { api, node } = this.#options;
      const body = { state: "running" as const, progress: line };
      void api
        .call("reportOperation", { params: { node, operation: id }, body, signal })
        .catch(() => {});
    };
  }

  async #sendAll(signal: AbortSignal): Promise<LoopResult> {
    for (const [id, report] of [...this.#unsent]) await this.#send(id, report, signal);
    if (this.#unsent.size > 0) return { againMs: RESEND_MS };
  }

  async #send(id: string, report: OperationReport, signal: AbortSignal): Promise<void> {
    const { api, node, log } = this.#options;
    try {
      const params = { node, operation: id };
      await api.call("reportOperation", { params, body: report, signal });
      this.#unsent.delete(id);
    } catch (error) {
      signal.throwIfAborted();
      // Gone at the server: nobody waits for it. Anything else is repeated: the stream may stand although
      // a call of it was lost, and then nothing else would ever send the result.
      if (asProtocolError(error).code === "not_found") this.#unsent.delete(id);
      else log.info("an operation's result was not taken", { operation: id, error });
    }
  }
}
