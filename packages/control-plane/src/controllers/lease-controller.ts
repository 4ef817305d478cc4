/** Stores whether nodes are in contact: writes a node's `contact` when its lease runs out or is renewed. */

import { formatDuration } from "@berth/base";
import { CLUSTER_SCOPE, type Node } from "@berth/protocol";
import { packUnits, Unit } from "../plan/unit.ts";
import { liveTasks } from "../reconcile/fenced.ts";
import type { ChangeBatch } from "../state/cluster-state.ts";
import { encode } from "../state/decode.ts";
import type { Entity } from "../state/entity-table.ts";
import type { ControllerDeps } from "./deps.ts";
import { leaseMsFor } from "./lease-length.ts";
import { afterTime, becomeHeard, becomeSilent, isMassOutage } from "./node-contact.ts";
import { NodeLeases } from "./node-leases.ts";

/** A lease is looked at this often: a dead node is noticed within lease plus a sixth. */
const LOOKS_PER_LEASE = 6;

export class LeaseController {
  readonly #deps: ControllerDeps;
  #leases: NodeLeases;
  #endListening: (() => void) | undefined;

  constructor(deps: ControllerDeps) {
    this.#deps = deps;
    this.#leases = new NodeLeases(deps.settings);
  }

  /** Every lease starts anew: what was heard before, or by another server, is not known here. */
  start(): void {
    const { settings, state } = this.#deps;
    // As long as agents may have been told by the server before this one.
    this.#leases = new NodeLeases({ leaseMs: leaseMsFor(state.view.nodes.size, settings) });
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

  /**
   * Servers that do not lead tell of whom they have heard. A report by which a node is in contact again may have
   * come to any of them: before it is told, the node's lease here is still over.
   */
  #onChange(batch: ChangeBatch): void {
    for (const change of batch.changes) {
      if (change.kind === "node") {
        const node = this.#deps.state.view.nodes.get(change.key)?.value;
        const before = change.previous?.value as Node | undefined;
        if (node?.contact === "up" && before?.contact === "down") this.renew(node.name);
      }
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
    this.#leases.setLength(leaseMsFor(nodes.length, this.#deps.settings), now);
    this.#leases.look(
      nodes.map(({ value }) => value.name),
      now,
      this.#periodMs,
    );
    const silent = nodes.filter(({ value }) => this.#leases.isSilent(value.name, now));
    const isMass = this.#judge(silent, nodes.length);
    const units = nodes.flatMap((node) => {
      const next = this.#nextOf(node.value, now, isMass);
      return next === undefined ? [] : [rowUnit(node, next)];
    });
    if (units.length > 0) await committer.commit(packUnits(units, leadership()), signal);
  }

  /** Whether nodes have just vanished, and too many are silent to act upon it. Says so. */
  #judge(silent: readonly Entity<Node>[], total: number): boolean {
    const { events, settings } = this.#deps;
    const hasVanished = silent.some(({ value }) => value.contact === "up");
    if (!hasVanished || !isMassOutage(silent.length, total, settings)) return false;
    const pause = formatDuration(settings.massOutagePauseMs);
    const message = `${silent.length} of ${total} nodes are silent: nothing of them is moved for ${pause}, or until they are back; of a host that is dead for sure: berth node fenced NODE`;
    const scope = { project: CLUSTER_SCOPE, environment: CLUSTER_SCOPE };
    events.record({ level: "error", reason: "mass_outage", message, ...scope });
    return true;
  }

  /** The node's row as it is to be; `undefined` when it is so. */
  #nextOf(node: Node, now: number, isMass: boolean): Node | undefined {
    const { clock, settings } = this.#deps;
    const wall = clock.now();
    if (node.contact === "down" && this.#leases.isHeard(node.name, now)) {
      return becomeHeard(node, wall, settings);
    }
    const isSilent = this.#leases.isSilent(node.name, now);
    if (isSilent && (node.contact === "up" || isMass)) {
      const next = becomeSilent(node, wall, settings, isMass);
      // Of those that were down before only the pause begins anew.
      const { contactChangedAt } = node.contact === "up" ? next : node;
      return { ...next, contactChangedAt };
    }
    return afterTime(node, wall) ?? this.#afterDeadline(node, now);
  }

  /** Notes that the node has been silent for longer than the agents of some of its copies bear it. */
  #afterDeadline(node: Node, now: number): Node | undefined {
    if (node.contact === "up") return undefined;
    const silentMs = this.#leases.silentFor(node.name, now);
    const waits = liveTasks(this.#deps.state.view, node.name).flatMap(
      ({ isolation }) => isolation?.waitMs ?? [],
    );
    const passed = Math.max(0, ...waits.filter((waitMs) => waitMs <= silentMs));
    return passed > (node.silentForMs ?? 0) ? { ...node, silentForMs: passed } : undefined;
  }
}

function rowUnit({ key, revision }: Entity<Node>, next: Node): Unit {
  const unit = new Unit();
  unit.expect(key, revision);
  unit.put(key, encode(next));
  return unit;
}
