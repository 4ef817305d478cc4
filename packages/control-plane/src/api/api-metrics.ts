/** The server's own figures: requests, watches, sessions, the store, tasks and loops. */

import type { Driver } from "@berth/base";
import { rangeUses } from "../addresses/range-use.ts";
import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterState } from "../state/cluster-state.ts";
import type { Store, Txn } from "../store/port.ts";
import type { AuditLog } from "./audit-log.ts";
import { type Counter, type Histogram, type Labels, Metrics, type Sample } from "./metrics.ts";
import type { SessionHub } from "./session-hub.ts";
import type { WatchHub } from "./watch-hub.ts";

/** From what a read from memory takes to what a person gives up on. */
const LATENCY_BOUNDS_S = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5];

const NO_LABELS: Labels = {};

export class ApiMetrics {
  readonly registry = new Metrics();
  readonly #requests: Counter;
  readonly #latency: Histogram;
  readonly #writes: Histogram;
  readonly #writeFailures: Counter;
  readonly #labels = new Map<string, Labels>();

  constructor() {
    const { registry } = this;
    this.#requests = registry.counter(
      "berth_requests_total",
      "Answered calls by route and status.",
    );
    this.#latency = registry.histogram(
      "berth_request_duration_seconds",
      "Time from a call's arrival to the beginning of its answer.",
      LATENCY_BOUNDS_S,
    );
    this.#writes = registry.histogram(
      "berth_store_write_duration_seconds",
      "Time of a store transaction until it is acknowledged.",
      LATENCY_BOUNDS_S,
    );
    this.#writeFailures = registry.counter(
      "berth_store_write_failures_total",
      "Store transactions that were refused or whose outcome is unknown.",
    );
  }

  countRequest(route: string, status: number, durationMs: number): void {
    this.#requests.add(this.#labelsOf(`${route} ${status}`, { route, status: String(status) }));
    this.#latency.observe(this.#labelsOf(route, { route }), durationMs / 1_000);
  }

  /** One object for the same labels: their text is made once. As many as routes times statuses. */
  #labelsOf(name: string, labels: Labels): Labels {
    const known = this.#labels.get(name) ?? labels;
    this.#labels.set(name, known);
    return known;
  }

  /** `store` with its writes timed. */
  timedStore(store: Store, monotonic: () => number): Store {
    const timed = (
      txn: Txn,
      ...rest: Parameters<Store["txn"]> extends [Txn, ...infer R] ? R : []
    ) => {
      const start = monotonic();
      const done = store.txn(txn, ...rest);
      done.then(
        () => this.#writes.observe(NO_LABELS, (monotonic() - start) / 1_000),
        () => this.#writeFailures.add(NO_LABELS),
      );
      return done;
    };
    // All other members are the store's own, with the store as `this`.
    return new Proxy(store, {
      get(target, name) {
        if (name === "txn") return timed;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === "function" ? value.bind(target) : value;
      },
    });
  }

  /** Adds the figures of the server's parts. */
  watchParts(parts: {
    readonly state: ClusterState;
    readonly driver: Driver;
    readonly watches: WatchHub;
    readonly sessions: SessionHub;
    readonly audit: AuditLog;
    readonly settings: ControlPlaneSettings;
  }): void {
    const { registry } = this;
    const { state, driver, watches, sessions, audit, settings } = parts;
    registry.gauge(
      "berth_revision",
      "Revision that this server shows.",
      one(() => state.revision),
    );
    registry.gauge(
      "berth_watchers",
      "Open watch streams.",
      one(() => watches.figures().watchers),
    );
    registry.counted(
      "berth_watch_lines_made_total",
      "Watch events turned into bytes.",
      one(() => watches.figures().linesMade),
    );
    registry.counted(
      "berth_watch_lines_sent_total",
      "Lines handed to watch streams.",
      one(() => watches.figures().linesSent),
    );
    registry.counted(
      "berth_watch_resyncs_total",
      "Watch streams that were told to list again.",
      one(() => watches.figures().resyncs),
    );
    registry.gauge(
      "berth_sessions",
      "Open exec and log sessions.",
      one(() => sessions.size),
    );
    registry.gauge(
      "berth_audit_waiting",
      "Audit entries not yet written.",
      one(() => audit.waiting),
    );
    registry.gauge("berth_tasks", "Tasks by state.", () => tasksByState(state));
    this.#watchAddresses(state, settings);
    registry.gauge("berth_nodes", "Nodes by contact.", () => nodesByContact(state));
    registry.counted("berth_loop_runs_total", "Runs of a loop.", () =>
      driver.statuses().map(({ name, runs }) => ({ labels: { loop: name }, value: runs })),
    );
    registry.counted("berth_loop_failures_total", "Failed runs of a loop.", () =>
      driver.statuses().map(({ name, failures }) => ({ labels: { loop: name }, value: failures })),
    );
  }

  #watchAddresses(state: ClusterState, settings: ControlPlaneSettings): void {
    const { registry } = this;
    registry.gauge(
      "berth_networks",
      "Networks; each has a range of the cluster's, or one that its file states.",
      one(() => state.view.networks.size),
    );
    registry.gauge("berth_addresses", "Addresses in use or in quarantine, by kind.", () =>
      (["address", "service-address"] as const).map((kind) => ({
        labels: { kind },
        value: state.view.claims.by("kind", kind).length,
      })),
    );
    registry.gauge("berth_range_addresses", "Addresses of the cluster's ranges.", () =>
      rangeUses(state.view, settings).map(({ range, total }) => ({
        labels: { range },
        value: total,
      })),
    );
    registry.gauge(
      "berth_range_addresses_used",
      "Addresses of the cluster's ranges that networks and services have.",
      () =>
        rangeUses(state.view, settings).map(({ range, used }) => ({
          labels: { range },
          value: used,
        })),
    );
  }
}

function one(read: () => number): () => Iterable<Sample> {
  return () => [{ value: read() }];
}

function tasksByState({ view }: ClusterState): Iterable<Sample> {
  const counts = new Map<string, number>();
  for (const { value } of view.tasks.all()) {
    const [status] = view.statuses.by("task", value.id);
    const state = status?.value.state ?? "assigned";
    counts.set(state, (counts.get(state) ?? 0) + 1);
  }
  return [...counts].map(([state, value]) => ({ labels: { state }, value }));
}

function nodesByContact({ view }: ClusterState): Iterable<Sample> {
  const counts = { up: 0, down: 0 };
  for (const { value } of view.nodes.all()) counts[value.contact]++;
  return Object.entries(counts).map(([contact, value]) => ({ labels: { contact }, value }));
}
