/**
 * How the agent talks to its node's `net` process: HTTP over a unix socket that only the same user (or
 * root) may open. The socket's path is the only address; there is no token because there is no network.
 *
 * The agent's rule for removing an endpoint: `apply` a model where it is `draining`; the answer says that
 * DNS and HAProxy follow it (no new request goes there); poll `sessions` until 0 or the drain's deadline;
 * stop the container; `apply` a model without it.
 *
 * Design page: docs/design/network.md
 */

import { request } from "node:http";
import { type Clock, sleep, systemClock } from "@berth/base";
import { errorOfProblem, ProtocolError } from "@berth/protocol/errors";
import type { LookupQuestion, LookupReport } from "./dns/explain.ts";
import type { NodeNetworkModel } from "./model.ts";
import type { ApplyReport, EndpointSessions, NetStatus, RouteFigures } from "./report.ts";

export interface NetClientOptions {
  /** See `netSocketPath`. */
  readonly socketPath: string;
  readonly clock?: Clock;
}

/** `apply` waits for a verified reload of HAProxy at worst: far above its usual 50 ms. */
const APPLY_TIMEOUT_MS = 15_000;
const QUESTION_TIMEOUT_MS = 5_000;
/** How often `waitApplied` looks: a reload takes tens of milliseconds. */
const POLL_MS = 20;
/** An answer is a report: its problems are bounded by the model, which is bounded by MODEL_BYTES_MAX. */
const ANSWER_BYTES_MAX = 16 * 1024 * 1024;

/** Where `net` listens below its data directory. Kept short: a unix socket's path is at most 107 bytes. */
export function netSocketPath(dataDir: string): string {
  return `${dataDir}/net.sock`;
}

export class NetClient {
  readonly #socketPath: string;
  readonly #clock: Clock;

  constructor(options: NetClientOptions) {
    this.#socketPath = options.socketPath;
    this.#clock = options.clock ?? systemClock;
  }

  /**
   * Hands a whole model over and waits until DNS, HAProxy and the firewall follow it. Problems of single
   * routes are in the report, they are no error. Throws ProtocolError `precondition_failed` with
   * `details.generation` when `net` has a newer model, `invalid_request` when the model is malformed,
   * `unavailable` when `net` does not run.
   */
  async apply(model: NodeNetworkModel, signal?: AbortSignal): Promise<ApplyReport> {
    const call = {
      method: "PUT",
      path: "/model",
      body: model,
      timeoutMs: APPLY_TIMEOUT_MS,
      signal,
    };
    return (await this.#call(call)) as ApplyReport;
  }

  /** Figures of all routes and published ports, since `net` began. */
  async routes(signal?: AbortSignal): Promise<readonly RouteFigures[]> {
    return (await this.#get("/routes", signal)) as readonly RouteFigures[];
  }

  /** Prometheus text. */
  async metrics(signal?: AbortSignal): Promise<string> {
    return (await this.#get("/metrics", signal)) as string;
  }

  async status(signal?: AbortSignal): Promise<NetStatus> {
    return (await this.#get("/status", signal)) as NetStatus;
  }

  /** Open connections and queued requests of an endpoint, over all workers; 0 when it is unknown. */
  async sessions(
    endpoint: { readonly address: string; readonly port: number },
    signal?: AbortSignal,
  ): Promise<EndpointSessions> {
    const query = `address=${encodeURIComponent(endpoint.address)}&port=${endpoint.port}`;
    return (await this.#get(`/sessions?${query}`, signal)) as EndpointSessions;
  }

  /** What would be answered to somebody's question for a name, and why; `invalid_request` says what is wrong. */
  async lookup(question: LookupQuestion, signal?: AbortSignal): Promise<LookupReport> {
    const query = new URLSearchParams({ ...question }).toString();
    return (await this.#get(`/lookup?${query}`, signal)) as LookupReport;
  }

  /** Resolves with the first status whose three parts all follow `generation` or a later one. */
  async waitApplied(
    generation: number,
    timeoutMs: number,
    signal?: AbortSignal,
  ): Promise<NetStatus> {
    const deadline = this.#clock.monotonic() + timeoutMs;
    for (;;) {
      const status = await this.status(signal);
      const parts = [status.dns, status.ingress, status.firewall];
      if (parts.every((part) => part.generation >= generation)) return status;
      if (this.#clock.monotonic() >= deadline) {
        const details = { generation, timeoutMs, applied: parts.map((part) => part.generation) };
        throw new ProtocolError("timed_out", "the node's network did not follow in time", details);
      }
      await sleep(this.#clock, POLL_MS, signal);
    }
  }

  /**
   * Ends the process; HAProxy goes on serving unless `ingress` says to stop it too, and the isolation
   * stays unless `firewall` says to remove it (uninstalling).
   */
  async stop(
    options: { readonly ingress: boolean; readonly firewall?: boolean },
    signal?: AbortSignal,
  ): Promise<void> {
    const path = `/stop?ingress=${options.ingress}&firewall=${options.firewall ?? false}`;
    await this.#call({ method: "POST", path, timeoutMs: APPLY_TIMEOUT_MS, signal });
  }

  #get(path: string, signal: AbortSignal | undefined): Promise<unknown> {
    return this.#call({ method: "GET", path, timeoutMs: QUESTION_TIMEOUT_MS, signal });
  }

  #call(call: Call): Promise<unknown> {
    return callSocket(this.#socketPath, call);
  }
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly timeoutMs: number;
  readonly signal: AbortSignal | undefined;
}

/** One request, one connection: calls are rare and a socket that lives on could outlive its `net`. */
function callSocket(socketPath: string, call: Call): Promise<unknown> {
  const timeout = AbortSignal.timeout(call.timeoutMs);
  const signal = call.signal === undefined ? timeout : AbortSignal.any([call.signal, timeout]);
  return new Promise((resolve, reject) => {
    const fail = (error: unknown) => {
      if (call.signal?.aborted) reject(call.signal.reason);
      else
        reject(timeout.aborted ? tooSlow(socketPath, call) : unreachable(socketPath, call, error));
    };
    const outgoing = request(
      { socketPath, method: call.method, path: call.path, signal, agent: false },
      (incoming) => {
        const chunks: Buffer[] = [];
        let sizeBytes = 0;
        incoming.on("error", fail);
        incoming.on("data", (chunk: Buffer) => {
          sizeBytes += chunk.length;
          if (sizeBytes > ANSWER_BYTES_MAX) incoming.destroy(new Error("answer over the limit"));
          else chunks.push(chunk);
        });
        incoming.on("end", () => {
          try {
            const text = Buffer.concat(chunks).toString();
            const isText = incoming.headers["content-type"]?.startsWith("text/plain") ?? false;
            resolve(isText ? text : answerOf(incoming.statusCode ?? 0, text));
          } catch (error) {
            reject(error);
          }
        });
      },
    );
    outgoing.on("error", fail);
    if (call.body !== undefined) outgoing.setHeader("content-type", "application/json");
    outgoing.end(call.body === undefined ? undefined : JSON.stringify(call.body));
  });
}

function answerOf(status: number, text: string): unknown {
  const body: unknown = text === "" ? undefined : JSON.parse(text);
  if (status >= 200 && status < 300) return body;
  throw (
    errorOfProblem(body) ??
    new ProtocolError("internal", `the net process answered ${status} without a problem`, {
      status,
    })
  );
}

function unreachable(socketPath: string, call: Call, cause: unknown): ProtocolError {
  const details = { socketPath, request: `${call.method} ${call.path}` };
  const message = "the net process of this node cannot be reached";
  return new ProtocolError("unavailable", message, details, { cause });
}

function tooSlow(socketPath: string, call: Call): ProtocolError {
  const details = { socketPath, request: `${call.method} ${call.path}`, timeoutMs: call.timeoutMs };
  return new ProtocolError("timed_out", "the net process did not answer in time", details);
}
