/**
 * Where copies would go, tried on a copy of the cluster: one after the other, as a rolling update does, so
 * that room which an old copy gives back is there for the next one.
 */

import {
  isFinal,
  keys,
  type Release,
  runsOnEveryNode,
  type ServicePlan,
  serviceKey,
  type Task,
} from "@berth/protocol";
import {
  type Ask,
  type ClusterModel,
  explainPlacement,
  explainQuota,
  explainRefusal,
  type QuotaBook,
  Transaction,
} from "@berth/scheduler";
import { askOf } from "../plan/asks.ts";
import { copyKey, quotaBook, quotaOf } from "../plan/project-quota.ts";
import { strategyOf } from "../plan/strategy.ts";
import { eligibleNodes } from "../reconcile/eligible-nodes.ts";
import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { statusOf } from "../state/status-of.ts";

/** Copies that a plan shows one by one; of a service of thousands the first tell enough. */
const PLACEMENTS_MAX = 100;

export interface TrialInput {
  readonly view: ClusterView;
  readonly project: string;
  readonly cluster: ClusterModel;
  readonly settings: ControlPlaneSettings;
}

export class Trial {
  readonly view: ClusterView;
  readonly settings: ControlPlaneSettings;
  readonly #project: string;
  readonly #transaction: Transaction;
  /** Of the project, where it has a quota. */
  readonly #book: QuotaBook | undefined;

  constructor({ view, project, cluster, settings }: TrialInput) {
    this.view = view;
    this.settings = settings;
    this.#project = project;
    const quota = quotaOf(view, project);
    this.#book = quota === undefined ? undefined : quotaBook(view, project, quota, []);
    this.#transaction = new Transaction(cluster, {
      seed: 1,
      strategy: strategyOf(view, project),
      defaults: settings.defaultRequests,
    });
  }

  /** Live tasks of a service that are to keep running. */
  tasksOf(release: Release, name: string): Task[] {
    const service = serviceKey({ ...release, service: name });
    return this.view.tasks.by("service", service).flatMap(({ value }) => {
      const status = statusOf(this.view, value.id);
      const over = status !== undefined && isFinal(status.state);
      return over || value.desired === "stopped" ? [] : [value];
    });
  }

  /** A task has gone: its room is free. */
  release(task: string): void {
    this.#transaction.release(task);
    this.#book?.release(task);
  }

  /** The node and why there, or why nowhere, in words. */
  place(ask: Ask, copy: string): { readonly node?: string; readonly why: string } {
    const { id, requests } = ask;
    const excess = this.#book?.admit([{ id, copy, requests }]);
    if (excess !== undefined) return { why: explainQuota(excess, this.#project) };
    const { placements, refusals } = this.#transaction.schedule([ask]);
    const [placed] = placements;
    if (placed !== undefined) return { node: placed.node, why: explainPlacement(placed) };
    this.#book?.release(id);
    const [refusal] = refusals;
    return { why: refusal === undefined ? "no place" : explainRefusal(refusal) };
  }
}

/** Copies that a service has by a release: what was set by hand, else the file's number. */
export function copiesOf(view: ClusterView, release: Release, name: string): number {
  const spec = release.services[name]?.spec;
  if (spec !== undefined && runsOnEveryNode(spec)) return eligibleNodes(view, spec).length;
  return (
    view.scales.get(keys.scale({ ...release, service: name }))?.value.value ?? spec?.copies ?? 0
  );
}

export interface CopiesToPlace {
  readonly release: Release;
  readonly name: string;
  readonly copies: number;
  readonly order: ServicePlan["order"];
  readonly action: ServicePlan["action"];
}

/** Where each copy would go; those that stay where they are are not listed. */
export function placeCopies(trial: Trial, wanted: CopiesToPlace): ServicePlan["placements"] {
  const { release, name, copies, order, action } = wanted;
  const tasks = trial.tasksOf(release, name);
  const nodes = globalNodes(trial, release, name);
  const placements: ServicePlan["placements"][number][] = [];
  for (let slot = 1; slot <= Math.min(copies, PLACEMENTS_MAX); slot++) {
    const old = tasks.find((task) => task.slot === slot);
    if (old !== undefined && action === "scale") continue;
    if (old !== undefined && order === "stop-first") trial.release(old.id);
    placements.push(placeCopy(trial, wanted, { slot, old, node: nodes?.[slot - 1] }));
    if (old !== undefined && order === "start-first") trial.release(old.id);
  }
  return placements;
}

function globalNodes(trial: Trial, release: Release, name: string): string[] | undefined {
  const spec = release.services[name]?.spec;
  return spec !== undefined && runsOnEveryNode(spec) ? eligibleNodes(trial.view, spec) : undefined;
}

function placeCopy(
  trial: Trial,
  { release, name }: CopiesToPlace,
  copy: {
    readonly slot: number;
    readonly old: Task | undefined;
    readonly node: string | undefined;
  },
): ServicePlan["placements"][number] {
  const { slot, old, node } = copy;
  const from = old === undefined ? {} : { fromNode: old.node };
  const target = release.services[name];
  const ask =
    target &&
    askOf(
      { id: `planned-${name}-${slot}`, scope: { ...release, service: name }, slot, target },
      { previousNode: old?.node, failedNodes: [], node, podKey: undefined },
      { view: trial.view, release, settings: trial.settings },
    );
  if (ask === undefined) return { slot, ...from, reasons: [] };
  const placed = trial.place(ask, copyKey({ ...release, service: name }, slot));
  if (placed.node === undefined) return { slot, ...from, reasons: [], refusal: placed.why };
  return { slot, node: placed.node, ...from, reasons: [placed.why] };
}
