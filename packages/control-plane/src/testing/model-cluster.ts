/** A whole control plane with model agents on a virtual clock and a store in memory. */

import { AssertionError, Driver, ManualClock, Prng, silentLogger } from "@berth/base";
import {
  type Deployment,
  isFinal,
  keys,
  type PinnedSpec,
  type Stack,
  type StackScope,
  serviceKey,
  type Task,
  type TaskStatus,
} from "@berth/protocol";
import { ControlPlane, type ControlPlaneOptions } from "../control-plane.ts";
import { acceptDeployment } from "../release/accept-deployment.ts";
import { type Decision, refusalError } from "../release/refusal.ts";
import { type ControlPlaneSettings, DEFAULT_SETTINGS } from "../settings.ts";
import { MemoryStore } from "../store/memory.ts";
import { ModelAgent, type ModelAgentOptions } from "./model-agent.ts";

export const SHOP: StackScope = { project: "default", environment: "main", stack: "shop" };

/** Turns of the micro-task queue that let everything that is due happen. */
const SETTLE_TURNS = 300;

export class ModelCluster {
  readonly clock = new ManualClock();
  readonly store = new MemoryStore({ clock: this.clock });
  readonly driver: Driver;
  readonly plane: ControlPlane;
  readonly agents = new Map<string, ModelAgent>();
  #deployments = 0;

  constructor(
    seed = 1,
    settings: Partial<ControlPlaneSettings> = {},
    ports: Pick<ControlPlaneOptions, "fenceHook"> = {},
  ) {
    const { clock, store } = this;
    const prng = new Prng(seed);
    const log = silentLogger;
    this.driver = new Driver({ clock, log, prng: prng.fork() });
    const all = { ...DEFAULT_SETTINGS, ...settings };
    const { driver } = this;
    this.plane = new ControlPlane({ store, clock, log, prng, driver, settings: all, ...ports });
  }

  /** Starts the control plane and agents of these names. */
  async start(...nodes: string[]): Promise<void> {
    let started = false;
    void this.plane.start().then(() => {
      started = true;
    });
    await this.until(() => started, "the control plane started");
    for (const name of nodes) await this.join(name);
  }

  async join(name: string, options: Partial<ModelAgentOptions> = {}): Promise<ModelAgent> {
    const agent = new ModelAgent({
      name,
      store: this.store,
      state: this.plane.state,
      clock: this.clock,
      renewLease: (node) => this.plane.renewLease(node),
      ...options,
    });
    this.agents.set(name, agent);
    await agent.start();
    await this.settle();
    return agent;
  }

  /** Lets everything happen that needs no time. */
  async settle(): Promise<void> {
    for (let turn = 0; turn < SETTLE_TURNS; turn++) await Promise.resolve();
  }

  /** Lets `ms` pass, timer by timer. */
  async pass(ms: number): Promise<void> {
    const end = this.clock.monotonic() + ms;
    for (;;) {
      await this.settle();
      const due = this.clock.nextDue();
      if (due === undefined || due > end) break;
      this.clock.fireNext();
    }
    this.clock.advance(end - this.clock.monotonic());
    await this.settle();
  }

  /** Lets time pass until `done` holds, at most ten minutes. */
  async until(done: () => boolean, what: string): Promise<void> {
    const end = this.clock.monotonic() + 600_000;
    for (;;) {
      await this.settle();
      if (done()) return;
      const due = this.clock.nextDue();
      if (due === undefined || due > end)
        throw new AssertionError(`never: ${what}\n${this.picture()}`);
      this.clock.fireNext();
    }
  }

  /** Accepts a deployment; the refusal is an error. */
  async deploy(spec: PinnedSpec, scope = SHOP): Promise<Deployment> {
    const id = `deploy${String(++this.#deployments).padStart(4, "0")}`;
    const request = { scope, spec, secrets: {}, actor: "test", now: this.clock.now(), id };
    const { plane } = this;
    return this.commit(acceptDeployment(plane.state.view, request, plane.settings));
  }

  /** Commits a decision and waits until the state shows it. */
  async commit<T>(decision: Decision<T>): Promise<T> {
    if (decision.kind === "refused") throw refusalError(decision);
    const result = await this.store.txn(decision.txn);
    if (!result.succeeded) throw new AssertionError("the decision was overtaken");
    await this.plane.state.waitFor(result.revision);
    return decision.value;
  }

  stack(scope = SHOP): Stack | undefined {
    return this.plane.state.view.stacks.get(keys.stack(scope))?.value;
  }

  rollout(scope = SHOP): string | undefined {
    return this.stack(scope)?.rollout?.state;
  }

  /** Tasks of a service that may be alive, with their statuses. */
  live(service: string, scope = SHOP): { task: Task; status: TaskStatus | undefined }[] {
    return this.all(service, scope).filter(
      ({ status, task }) =>
        task.verdict === undefined && (status === undefined || !isFinal(status.state)),
    );
  }

  all(service: string, scope = SHOP): { task: Task; status: TaskStatus | undefined }[] {
    const { view } = this.plane.state;
    return view.tasks.by("service", serviceKey({ ...scope, service })).map(({ value: task }) => {
      return { task, status: view.statuses.get(keys.status(task, task.id))?.value };
    });
  }

  ready(service: string, scope = SHOP): number {
    return this.live(service, scope).filter(({ status }) => status?.ready).length;
  }

  /** Everything that matters, for failures of tests. */
  picture(): string {
    const { view } = this.plane.state;
    const lines = view.stacks.all().map(({ value }) => JSON.stringify(value));
    for (const { value: task } of view.tasks.all()) {
      const status = view.statuses.get(keys.status(task, task.id))?.value;
      const state = status === undefined ? "-" : `${status.state}${status.ready ? " ready" : ""}`;
      lines.push(
        `${task.service}-${task.slot} ${task.id} ${task.node} r${task.release} ${task.desired} ${state}`,
      );
    }
    for (const { value } of view.deployments.all()) {
      lines.push(`${value.id} ${value.state} ${JSON.stringify(value.error)}`);
    }
    for (const loop of this.driver.statuses()) {
      if (loop.lastError !== undefined) lines.push(`${loop.name}: ${loop.lastError}`);
    }
    return lines.join("\n");
  }
}
