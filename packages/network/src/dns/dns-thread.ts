/**
 * DNS in a thread of its own, as the rest of `net` sees it: the same questions as to a `DnsServer`, answered
 * a message later.
 *
 * A thread that dies is started again and follows the newest model: names are missing for as long as that
 * takes (50 ms), and what was asked of it meanwhile fails.
 */

import { Worker } from "node:worker_threads";
import type { Logger } from "@berth/base";
import { ProtocolError } from "@berth/protocol/errors";
import type { NodeNetworkModel } from "../model.ts";
import type { NetProblem } from "../report.ts";
import type { DnsThreadOptions, FromDnsThread, ToDnsThread } from "./dns-thread-messages.ts";
import type { LookupQuestion, LookupResult } from "./explain.ts";
import type { DnsFigures } from "./server.ts";

export interface DnsThreadSettings {
  readonly port: number;
  readonly log: Logger;
  /** The thread's program: another file when bundled. */
  readonly workerUrl?: URL;
}

/** Small: a packet's garbage is gone at once. Four times as much takes 5 % off a query, and its memory. */
const LIMITS = { maxYoungGenerationSizeMb: 8 } as const;
/** Deaths in a row, without a model followed in between: then names are told as failed until `net` starts anew. */
const DEATHS_MAX = 10;

type Unsent<T> = T extends { readonly id: number } ? Omit<T, "id"> : never;

export class DnsThread {
  readonly #settings: DnsThreadSettings;
  readonly #waiting = new Map<
    number,
    { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }
  >();
  #worker: Worker;
  #threadId: number | undefined;
  #lastId = 0;
  #model: NodeNetworkModel | undefined;
  #problems: readonly NetProblem[] = [];
  #deaths = 0;
  #closed = false;

  constructor(settings: DnsThreadSettings) {
    this.#settings = settings;
    this.#worker = this.#start();
  }

  /** See `DnsServer.apply`. */
  async apply(model: NodeNetworkModel): Promise<void> {
    this.#model = model;
    await this.#ask({ kind: "apply", model: namesOf(model) });
    this.#deaths = 0;
  }

  async explain(question: LookupQuestion): Promise<LookupResult> {
    return (await this.#ask({ kind: "explain", question })) as LookupResult;
  }

  async figures(): Promise<DnsFigures> {
    return (await this.#ask({ kind: "figures" })) as DnsFigures;
  }

  /** As the kernel numbers it; undefined before it runs and after its end. */
  get threadId(): number | undefined {
    return this.#threadId;
  }

  /** As last told, which is before the answer to `apply`. */
  problems(): readonly NetProblem[] {
    return this.#problems;
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    if (this.#deaths > DEATHS_MAX) return;
    const gone = new Promise((resolve) => this.#worker.once("exit", resolve));
    await this.#ask({ kind: "close" });
    await gone;
  }

  #start(): Worker {
    const { port, workerUrl } = this.#settings;
    const url = workerUrl ?? new URL("./dns-worker.ts", import.meta.url);
    const workerData: DnsThreadOptions = { port };
    const worker = new Worker(url, { name: "dns", workerData, resourceLimits: LIMITS });
    worker.on("message", (message: FromDnsThread) => this.#take(message));
    worker.on("error", (error) => this.#settings.log.error("the DNS thread failed", { error }));
    worker.on("exit", () => this.#lost());
    return worker;
  }

  #take(message: FromDnsThread): void {
    if (message.kind === "started") this.#threadId = message.threadId;
    if (message.kind === "log") this.#settings.log.info("dns", { said: message.line });
    if (message.kind === "problems") this.#problems = message.problems;
    if (!("id" in message)) return;
    const waiting = this.#waiting.get(message.id);
    this.#waiting.delete(message.id);
    if (message.kind === "answer") waiting?.resolve(message.value);
    else waiting?.reject(new ProtocolError("internal", message.reason));
  }

  #lost(): void {
    this.#threadId = undefined;
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) {
      reject(new ProtocolError("unavailable", "the DNS thread has ended"));
    }
    if (this.#closed) return;
    this.#deaths++;
    if (this.#deaths > DEATHS_MAX) {
      this.#problems = [{ code: "part_failed", part: "dns", detail: "its thread does not stay" }];
      return;
    }
    this.#worker = this.#start();
    const model = this.#model;
    if (model !== undefined) this.apply(model).catch(() => {});
  }

  #ask(message: Unsent<ToDnsThread>): Promise<unknown> {
    const id = ++this.#lastId;
    if (this.#deaths > DEATHS_MAX) {
      return Promise.reject(new ProtocolError("unavailable", "the DNS thread does not stay"));
    }
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker.postMessage({ ...message, id });
    });
  }
}

/** Without what names have no use for, above all keys: the thread is sent a copy. */
function namesOf({ certificates: _keys, ...model }: NodeNetworkModel): NodeNetworkModel {
  return { ...model, ingress: { ...model.ingress, httpRoutes: [], tcpPorts: [] } };
}
