/**
 * What a deploy looks like from outside: a view that watch events change and that renders into lines. Pure,
 * so that tests feed it events and compare the lines.
 */

import { formatBytes, formatDuration } from "@berth/base";
import {
  type Deployment,
  type Operation,
  type Rollout,
  runsOnEveryNode,
  type Scale,
  type ServiceSpec,
  type Stack,
  type Task,
  type TaskStatus,
  type WatchEvent,
} from "@berth/protocol";
import type { Paint } from "../output/output.ts";

/** How a deploy ended, or that it has not. */
export type DeployOutcome =
  | { readonly kind: "pending" }
  | { readonly kind: "unchanged"; readonly release: number }
  | { readonly kind: "complete"; readonly release: number }
  | { readonly kind: "refused"; readonly error: NonNullable<Deployment["error"]> }
  | { readonly kind: "failed"; readonly rollout: Rollout; readonly stack: Stack }
  | { readonly kind: "superseded"; readonly release: number };

export class DeployView {
  readonly #services: ReadonlyMap<string, ServiceSpec>;
  readonly #deploymentId: string;
  readonly #tasks = new Map<string, Task>();
  readonly #statuses = new Map<string, TaskStatus>();
  /** Numbers of copies that were set apart from the file. */
  readonly #scales = new Map<string, number>();
  #deployment: Deployment;
  #stack: Stack | undefined;
  #operation: Operation | undefined;

  constructor(deployment: Deployment) {
    this.#deployment = deployment;
    this.#deploymentId = deployment.id;
    this.#services = new Map(Object.entries(deployment.spec.services));
  }

  get deployment(): Deployment {
    return this.#deployment;
  }

  /** The operation's progress line, while images are resolved or built. */
  get preparation(): string | undefined {
    if (this.#deployment.state !== "pending") return undefined;
    return this.#operation?.progress ?? "waiting for the images";
  }

  apply(event: WatchEvent): void {
    if (event.type === "delete") {
      if (event.kind === "task") this.#tasks.delete(lastSegment(event.key));
      if (event.kind === "status") this.#statuses.delete(lastSegment(event.key));
      if (event.kind === "scale") this.#scales.delete(decodeURIComponent(lastSegment(event.key)));
      return;
    }
    if (event.type !== "put") return;
    // The server made the value by the schema of its kind.
    switch (event.kind) {
      case "task": {
        const task = event.value as Task;
        this.#tasks.set(task.id, task);
        break;
      }
      case "status": {
        const status = event.value as TaskStatus;
        this.#statuses.set(status.task, status);
        break;
      }
      case "scale": {
        const scale = event.value as Scale;
        this.#scales.set(scale.service, scale.value);
        break;
      }
      case "stack":
        this.#stack = event.value as Stack;
        break;
      case "deployment": {
        const deployment = event.value as Deployment;
        if (deployment.id === this.#deploymentId) this.#deployment = deployment;
        break;
      }
      case "operation": {
        const operation = event.value as Operation;
        const { operation: resolving, fetches = [] } = this.#deployment;
        const isFetch = fetches.includes(operation.id) && operation.progress !== undefined;
        if (operation.id === resolving || isFetch) this.#operation = operation;
        break;
      }
      default:
        break;
    }
  }

  outcome(): DeployOutcome {
    const { state, release, error } = this.#deployment;
    if (state === "failed" && error !== undefined) return { kind: "refused", error };
    if (release === undefined || this.#stack === undefined) return { kind: "pending" };
    return outcomeOfRollout(this.#stack, release, state === "unchanged");
  }

  /** Services of which every wanted copy is of this release and ready, or ran to its end. */
  arrived(): string[] {
    return [...this.#services].flatMap(([name, spec]) => {
      const { release, copies, wanted } = this.#copiesOf(name, spec);
      const isThere = copies.every(
        ({ task, status }) =>
          task.release === release && (status?.ready === true || status?.outcome === "complete"),
      );
      return wanted > 0 && copies.length >= wanted && isThere ? [name] : [];
    });
  }

  /** One line a service, in the order of the file; of those in `only`, where given. */
  serviceLines(now: number, paint: Paint, only?: (service: string) => boolean): string[] {
    const width = Math.max(...[...this.#services.keys()].map((name) => name.length), 4);
    const chosen = [...this.#services].filter(([name]) => only?.(name) ?? true);
    return chosen.map(([name, spec]) => {
      const line = serviceLine(this.#copiesOf(name, spec), { name, spec, now, paint });
      return `  ${name.padEnd(width)}  ${line}`;
    });
  }

  #copiesOf(service: string, spec: ServiceSpec): Copies {
    const release = this.#deployment.release;
    const all = [...this.#tasks.values()].filter((task) => task.service === service);
    const wanted = all.filter((task) => task.desired === "running");
    const copies = wanted.map((task) => ({ task, status: this.#statuses.get(task.id) }));
    const set = this.#scales.get(service) ?? spec.copies;
    const count = runsOnEveryNode(spec) ? Math.max(copies.length, 1) : set;
    return { release, copies, wanted: count, dependencies: this.#unmetDependencies(service) };
  }

  /** Names of services that this one waits for, with the condition. */
  #unmetDependencies(service: string): string[] {
    const spec = this.#services.get(service);
    return Object.entries(spec?.dependsOn ?? {}).flatMap(([target, { condition }]) => {
      const statuses = [...this.#tasks.values()]
        .filter((task) => task.service === target && task.desired === "running")
        .map((task) => this.#statuses.get(task.id));
      const met = statuses.some((status) => {
        if (status === undefined) return false;
        if (condition === "completed") return status.outcome === "complete";
        return condition === "healthy" ? status.ready : status.startedAt !== undefined;
      });
      return met ? [] : [`${target} (${condition})`];
    });
  }
}

interface Copies {
  readonly release: number | undefined;
  /** The number in force: the scale's, else the file's. */
  readonly wanted: number;
  readonly copies: readonly { readonly task: Task; readonly status: TaskStatus | undefined }[];
  readonly dependencies: readonly string[];
}

function outcomeOfRollout(stack: Stack, release: number, unchanged: boolean): DeployOutcome {
  const { rollout } = stack;
  if (rollout === undefined) return { kind: "pending" };
  if (rollout.release > release) return { kind: "superseded", release: rollout.release };
  if (rollout.release < release) return { kind: "pending" };
  switch (rollout.state) {
    case "complete":
      return { kind: unchanged ? "unchanged" : "complete", release };
    case "progressing":
    case "rolling-back":
      return { kind: "pending" };
    case "rolled-back":
    case "failed":
    case "paused":
      return { kind: "failed", rollout, stack };
  }
}

interface LineContext {
  readonly name: string;
  readonly spec: ServiceSpec;
  readonly now: number;
  readonly paint: Paint;
}

function serviceLine(copies: Copies, context: LineContext): string {
  const { spec, paint } = context;
  const isJob = spec.mode === "job" || spec.restart.policy === "no";
  if (isJob) return jobLine(copies, context);
  const ready = copies.copies.filter(({ status }) => status?.ready === true).length;
  const { wanted } = copies;
  const count = `${wanted} cop${wanted === 1 ? "y" : "ies"}`;
  if (wanted === 0) return "0 copies";
  const bar = paint(ready === wanted ? "green" : "yellow", progressBar(ready, wanted));
  return `${count}  ${bar}  ${ready} of ${wanted} ready${waitingFor(copies, context)}`;
}

function jobLine({ copies, dependencies }: Copies, { paint }: LineContext): string {
  const status = copies[0]?.status;
  if (status?.outcome === "complete") {
    const tookMs = (status.exitedAt ?? 0) - (status.startedAt ?? 0);
    const took = tookMs > 0 ? ` after ${formatDuration(tookMs)}` : "";
    return `one-shot  ${paint("green", `exited 0${took}`)}`;
  }
  if (status?.state === "ended") {
    return `one-shot  ${paint("red", `exited ${status.exitCode ?? "?"}`)}`;
  }
  if (dependencies.length > 0) return `one-shot  waits for ${dependencies.join(", ")}`;
  return `one-shot  ${status?.state ?? "waits for a place"}`;
}

const BAR_CELLS = 20;

function progressBar(done: number, all: number): string {
  const filled = Math.floor((BAR_CELLS * Math.min(done, all)) / Math.max(1, all));
  return "█".repeat(filled) + "░".repeat(BAR_CELLS - filled);
}

/** What the first copy that is not ready waits for. */
function waitingFor({ copies, dependencies }: Copies, { now }: LineContext): string {
  const late = copies.find(({ status }) => status?.ready !== true);
  if (late === undefined) {
    return dependencies.length > 0 && copies.length === 0
      ? ` · waits for ${dependencies.join(", ")}`
      : "";
  }
  const { task, status } = late;
  const name = `${task.service}-${task.slot}`;
  if (status === undefined) return ` · ${name} is being handed to ${task.node}`;
  if (status.state === "pulling" && status.pullTotalBytes !== undefined) {
    return ` · ${name} pulls ${formatBytes(status.pullDoneBytes ?? 0)} of ${formatBytes(status.pullTotalBytes)}`;
  }
  if (status.nextAttemptAt !== undefined && status.nextAttemptAt > now) {
    return ` · ${name} exited ${status.exitCode ?? "?"}, next start in ${formatDuration(status.nextAttemptAt - now)}`;
  }
  return ` · ${name} ${status.message ?? status.state}`;
}

function lastSegment(key: string): string {
  return key.slice(key.lastIndexOf("/") + 1);
}
