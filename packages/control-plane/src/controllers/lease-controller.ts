/** Stores whether nodes are in contact: writes a node's `contact` when its lease runs out or is renewed. */

import { formatDuration } from "@berth/base";
import { CLUSTER_SCOPE, type Node } from "@berth/protocol";
import { packUnits, Unit } from "../plan/unit.ts";
import type { ChangeBatch } from "../state/cluster-state.ts";
import { encode } from "../state/decode.ts";
import type { Entity } from "../state/entity-table.ts";
import type { ControllerDeps } from "./deps.ts";
import { NodeLeases } from "./node-leases.ts";

/** A lease is looked at this often: a dead node is noticed within lease plus a sixth. */
const LOOKS_PER_LEASE = 6;

export class LeaseController {
  readonly #deps: ControllerDeps;
  #leases: NodeLeases;
  #endListening: (() => void) | undefined;
  readonly #onSuspensionEnd: () => void;
  #suspended: ReadonlySet<string> = new Set();

  /** `onSuspensionEnd`: nodes that were not given up may be given up now. */
  constructor(deps: ControllerDeps, onSuspensionEnd: () => void) {
    this.#deps = deps;
    this.#leases = new NodeLeases(deps.settings);
    this.#onSuspensionEnd = onSuspensionEnd;
  }

  /** Every lease starts anew: what was heard before, or by another server, is not known here. */
  start(): void {
    this.#leases = new NodeLeases(this.#deps.settings);
    this.#endListening = this.#deps.state.onChange((batch) => this.#onChange(batch));
    this.#deps.driver.add({
      name: "node-leases",
      purpose: "notices nodes that fall silent or return",
      periodMs: this.#periodMs,
      run: (signal) => this.#run(signal),
    });
  }

  stop(): Promise<void> {
    this.#endListening?.();
    return this.#deps.driver.remove("node-leases");
  }

  /** The node's agent was heard of. */
  renew(node: string): void {
    this.#leases.renew(node, this.#deps.clock.monotonic());
  }

  /** Nodes that are down but of which nothing is given up yet. */
  suspended(): ReadonlySet<string> {
    return this.#suspended;
  }

  /** Servers that do not lead tell of whom they have heard. */
  #onChange(batch: ChangeBatch): void {
    for (const change of batch.changes) {
      if (change.kind !== "server") continue;
      const presence = this.#deps.state.view.servers.get(change.key)?.value;
      for (const node of presence?.heard ?? []) this.renew(node);
    }
  }

  get #periodMs(): number {
    return this.#deps.settings.leaseMs / LOOKS_PER_LEASE;
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { state, clock, committer, leadership } = this.#deps;
    const now = clock.monotonic();
    const nodes = state.view.nodes.all();
    this.#leases.look(
      nodes.map(({ value }) => value.name),
      now,
      this.#periodMs,
    );
    const silent = nodes.filter(({ value }) => this.#leases.isSilent(value.name, now));
    const vanished = silent.filter(({ value }) => value.contact === "up");
    this.#judge(vanished, silent, nodes.length);
    const units = [
      ...vanished.map((node) => this.#contactUnit(node, "down")),
      ...nodes
        .filter(({ value }) => value.contact === "down")
        .filter(({ value }) => this.#leases.isHeard(value.name, now))
        .map((node) => this.#contactUnit(node, "up")),
    ];
    if (units.length > 0) await committer.commit(packUnits(units, leadership()), signal);
  }

  /** Decides before the loss is stored: nobody may act on it in between. */
  #judge(vanished: readonly Entity<Node>[], silent: readonly Entity<Node>[], total: number): void {
    const { clock, events, settings } = this.#deps;
    const names = (list: readonly Entity<Node>[]) => list.map(({ value }) => value.name);
    const now = clock.monotonic();
    if (this.#leases.suspend(names(vanished), names(silent), total, now)) {
      events.record({
        level: "error",
        reason: "mass_outage",
        message: `${silent.length} of ${total} nodes are silent: nothing is moved for ${formatDuration(settings.massOutagePauseMs)}`,
        project: CLUSTER_SCOPE,
        environment: CLUSTER_SCOPE,
      });
    }
    const before = this.#suspended;
    this.#suspended = this.#leases.suspended(now);
    if ([...before].some((node) => !this.#suspended.has(node))) this.#onSuspensionEnd();
  }

  #contactUnit({ key, revision, value }: Entity<Node>, contact: Node["contact"]): Unit {
    const unit = new Unit();
    unit.expect(key, revision);
    unit.put(key, encode({ ...value, contact, contactChangedAt: this.#deps.clock.now() }));
    return unit;
  }
}
