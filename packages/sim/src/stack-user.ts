/**
 * A user of one stack: deploys, scales, restarts, rolls back and removes it through the real API, at random
 * from the seed, and remembers what was acknowledged.
 */

import { type Clock, type Prng, sleep } from "@berth/base";
import {
  type AnswerOf,
  type ApiClient,
  asProtocolError,
  type CallOptions,
  DEFAULT_ENVIRONMENT,
  DEFAULT_PROJECT,
  ERRORS,
  type RouteId,
  type Routes,
} from "@berth/protocol";
import { type Acknowledged, newPromise, type Promised } from "./acknowledgements.ts";
import { drawSpec, type Shape } from "./stack-specs.ts";
import type { Trace } from "./trace.ts";

export interface StackUserOptions {
  readonly stack: string;
  readonly shape: Shape;
  readonly api: ApiClient;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly trace: Trace;
  readonly newId: () => string;
  /** Nothing new is begun once this is over (monotonic, milliseconds). */
  readonly untilMs: number;
  readonly onAcknowledged: (acknowledged: Acknowledged) => void;
}

/** Pauses between two requests, milliseconds. */
const PAUSE_MS = { min: 500, max: 25_000 } as const;
const RETRY_MS = { min: 200, max: 1_500 } as const;
const COPIES_MAX = 4;

type Outcome<Id extends RouteId> =
  | { readonly kind: "done"; readonly answer: AnswerOf<Routes[Id]> }
  | { readonly kind: "refused"; readonly code: string };

export class StackUser {
  readonly stack: string;
  readonly promised: Promised = newPromise();
  readonly #options: StackUserOptions;
  readonly #scope: {
    readonly project: string;
    readonly environment: string;
    readonly stack: string;
  };
  #busy = false;

  constructor(options: StackUserOptions) {
    this.#options = options;
    this.stack = options.stack;
    const { stack } = options;
    this.#scope = { project: DEFAULT_PROJECT, environment: DEFAULT_ENVIRONMENT, stack };
  }

  /** A request has no answer yet. */
  get busy(): boolean {
    return this.#busy;
  }

  /** Works until its time is over; then a request that is under way is still brought to an answer. */
  async run(): Promise<void> {
    const { clock, prng, untilMs } = this.#options;
    for (;;) {
      await sleep(clock, prng.int(PAUSE_MS.min, PAUSE_MS.max) * (this.promised.present ? 1 : 0.2));
      if (clock.monotonic() >= untilMs) return;
      this.#busy = true;
      await this.#act();
      this.#busy = false;
    }
  }

  #act(): Promise<void> {
    const { prng } = this.#options;
    if (!this.promised.present) return this.#deploy();
    const actions = [
      () => this.#deploy(),
      () => this.#deploy(),
      () => this.#deploy(),
      () => this.#scale(),
      () => this.#scale(),
      () => this.#restart(),
      () => this.#rollback(),
      () => this.#remove(),
    ];
    return prng.pick(actions)();
  }

  async #deploy(): Promise<void> {
    const { prng, shape, stack, onAcknowledged } = this.#options;
    const drawn = drawSpec(shape, stack, prng);
    const outcome = await this.#ask(
      "deployStack",
      { params: this.#scope, body: { spec: drawn.spec } },
      drawn.quality,
    );
    if (outcome.kind === "refused") return;
    this.promised.present = true;
    this.promised.last = { deployment: outcome.answer.id, drawn };
    onAcknowledged({ kind: "deployed", stack, answer: outcome.answer });
  }

  async #scale(): Promise<void> {
    const { prng, stack, onAcknowledged } = this.#options;
    const service = this.#service();
    const copies = prng.int(0, COPIES_MAX);
    const params = { ...this.#scope, service };
    const outcome = await this.#ask(
      "scaleService",
      { params, body: { copies } },
      `${service}=${copies}`,
    );
    if (outcome.kind === "refused") return;
    this.promised.scales.set(service, copies);
    onAcknowledged({ kind: "scaled", stack, answer: outcome.answer });
  }

  async #restart(): Promise<void> {
    const { stack, onAcknowledged } = this.#options;
    const service = this.#service();
    const params = { ...this.#scope, service };
    const outcome = await this.#ask("restartService", { params }, service);
    if (outcome.kind === "refused") return;
    const count = (this.promised.restarts.get(service) ?? 0) + 1;
    this.promised.restarts.set(service, count);
    onAcknowledged({ kind: "restarted", stack, service, answer: outcome.answer });
  }

  async #rollback(): Promise<void> {
    const { stack, onAcknowledged } = this.#options;
    const outcome = await this.#ask("rollbackStack", { params: this.#scope, body: {} }, "");
    if (outcome.kind === "refused") return;
    onAcknowledged({ kind: "rolled-back", stack, answer: outcome.answer });
  }

  async #remove(): Promise<void> {
    const { prng, stack, onAcknowledged } = this.#options;
    const query = prng.chance(0.5) ? { volumes: "data" } : {};
    const outcome = await this.#ask(
      "removeStack",
      { params: this.#scope, query },
      query.volumes ?? "",
    );
    if (outcome.kind === "refused") return;
    Object.assign(this.promised, newPromise());
    onAcknowledged({ kind: "removed", stack, answer: outcome.answer });
  }

  #service(): string {
    const services = Object.keys(this.promised.last?.drawn.spec.services ?? { web: {} });
    return this.#options.prng.pick(services);
  }

  /** Repeats a request under one key until it is known what became of it, as the CLI does. */
  async #ask<Id extends RouteId>(
    id: Id,
    options: CallOptions<Id>,
    what: string,
  ): Promise<Outcome<Id>> {
    const { api, clock, prng, trace, stack, newId } = this.#options;
    trace.note(stack, "U>", `${id} ${what}`);
    const idempotencyKey = newId();
    for (;;) {
      try {
        const answer = await api.call(id, { ...options, idempotencyKey });
        trace.note(stack, "U<", id);
        return { kind: "done", answer };
      } catch (error) {
        const { code } = asProtocolError(error);
        if (!isWorthRetrying(code)) {
          trace.note(stack, "U!", `${id} ${code}`);
          return { kind: "refused", code };
        }
        await sleep(clock, prng.int(RETRY_MS.min, RETRY_MS.max));
      }
    }
  }
}

/** A conflict is an answer: others were faster, and the user may want something else now. */
function isWorthRetrying(code: keyof typeof ERRORS): boolean {
  return code === "internal" || (ERRORS[code].retryable && code !== "conflict");
}
