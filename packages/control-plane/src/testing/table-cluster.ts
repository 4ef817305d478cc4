/**
 * A cluster as plain tables, without store, clock or agents: what pure tests of reconcile and plan run on.
 *
 * `apply` does what a store does with a transaction, conditions included, so a plan that forgets to compare
 * or changes a key twice shows here as it would there.
 */

import { assert, Prng } from "@berth/base";
import {
  FORMAT_LEVEL,
  keys,
  type Node,
  type Stack,
  type StackScope,
  type Wait,
} from "@berth/protocol";
import { Reservations } from "@berth/scheduler";
import { newIdentifiers } from "../plan/identifiers.ts";
import { InFlight } from "../plan/in-flight.ts";
import { makePlan } from "../plan/make-plan.ts";
import type { Identifiers } from "../plan/plan-context.ts";
import { packUnits, Unit } from "../plan/unit.ts";
import { reconcileStack, type StackDecision } from "../reconcile/reconcile-stack.ts";
import { removeStep } from "../reconcile/remove-stack.ts";
import { tidyStack } from "../reconcile/tidy.ts";
import { type ControlPlaneSettings, DEFAULT_SETTINGS } from "../settings.ts";
import { ClusterTables, type Held, type HeldKind } from "../state/cluster-tables.ts";
import { decodeEntry, encode, heldKey } from "../state/decode.ts";
import type { Compare, Operation, Txn } from "../store/port.ts";

/** What one look at a stack decided and did. */
export interface Round {
  readonly decision: StackDecision;
  readonly waits: ReadonlyMap<string, readonly Wait[]>;
  /** What the removal of the stack waits for. */
  readonly removalWaits: readonly Wait[];
  /** Writes that were committed. */
  readonly writes: number;
}

const START_OF_TIME = Date.UTC(2026, 0, 1);

export class TableCluster {
  readonly view = new ClusterTables();
  readonly settings: ControlPlaneSettings;
  readonly ids: Identifiers;
  readonly inFlight = new InFlight();
  readonly reservations = new Reservations();
  now = START_OF_TIME;
  revision = 1;

  constructor(seed = 1, settings: Partial<ControlPlaneSettings> = {}) {
    this.settings = { ...DEFAULT_SETTINGS, ...settings };
    this.ids = newIdentifiers(new Prng(seed), this.view);
  }

  /** Writes one object. */
  put<K extends HeldKind>(kind: K, key: string, value: Held[K]): void {
    assert(heldKey(key)?.kind === kind, `${key} is of kind ${kind}`);
    assert(
      this.apply({ compare: [], then: [{ kind: "put", key, value: encode(value) }] }),
      "a put",
    );
  }

  /** Does a transaction. False when a condition does not hold. */
  apply(txn: Txn): boolean {
    if (!txn.compare.every((compare) => this.#holds(compare))) return false;
    this.revision++;
    const changed = new Set<string>();
    for (const operation of txn.then) {
      this.#applyOperation(operation);
      if (!("key" in operation)) continue;
      assert(!changed.has(operation.key), `${operation.key} is changed once in a transaction`);
      changed.add(operation.key);
    }
    return true;
  }

  /** One look at a stack: decides, and commits what was decided. */
  look(scope: StackScope): Round | undefined {
    const { view, now, settings, ids, inFlight, reservations } = this;
    const stack = view.stacks.get(keys.stack(scope));
    if (stack === undefined) return undefined;
    const decision = reconcileStack(view, stack.value, now);
    const units: Unit[] = [];
    let waits: Round["waits"] = new Map();
    let removalWaits: readonly Wait[] = [];
    let writes = 0;
    const release = view.releases.get(keys.release(scope, stack.value.release))?.value;
    if (release !== undefined) {
      const input = { view, stack, release, now, settings, ids, inFlight, reservations };
      const plan = makePlan(input, decision.services, []);
      waits = plan.waits;
      for (const { txn } of plan.txns) {
        assert(this.apply(txn), "a plan over the newest state is committed");
        writes += txn.then.length;
      }
    }
    if (stack.value.deleting === undefined) {
      const again = view.stacks.get(stack.key);
      if (again !== undefined) units.push(...tidyStack(view, again, now, settings).units);
      if (decision.stack !== undefined)
        units.push(rolloutUnit(stack.key, stack.revision, decision.stack));
    } else {
      const { services } = decision;
      const removal = removeStep({ view, stack, services, now, newId: ids.identifier });
      units.push(...removal.units);
      removalWaits = removal.waits;
    }
    for (const { txn } of packUnits(units, [])) {
      if (this.apply(txn)) writes += txn.then.length;
    }
    return { decision, waits, removalWaits, writes };
  }

  /** The node's agent measured what a task uses. */
  reportUse(name: string, task: string, use: { cpuMillis: number; memoryBytes: number }): void {
    const key = keys.nodeStatus(name);
    const known = this.view.nodeStatuses.get(key)?.value;
    if (known === undefined) return;
    this.put("node-status", key, { ...known, use: { ...known.use, [task]: use } });
  }

  /** The node's agent finds so many devices of a kind, beside those of other kinds and models. */
  reportDevices(name: string, kind: string, count: number, model = ""): void {
    const key = keys.nodeStatus(name);
    const known = this.view.nodeStatuses.get(key)?.value;
    if (known === undefined) return;
    const others = (known.devices ?? []).filter(
      (each) => each.kind !== kind || each.model !== model,
    );
    const first = others.filter((each) => each.kind === kind).length;
    const devices = Array.from({ length: count }, (_, index) => {
      const at = first + index;
      return { kind, model, id: String(at), paths: [`/dev/${kind}${at}`] };
    });
    this.put("node-status", key, { ...known, devices: [...others, ...devices] });
  }

  addNode(name: string, changes: Partial<Node> = {}, memoryBytes = 8 * 2 ** 30): void {
    this.put("node", keys.node(name), {
      name,
      labels: {},
      availability: "active",
      joinedAt: this.now,
      contact: "up",
      contactChangedAt: this.now,
      ...changes,
    });
    this.put("node-status", keys.nodeStatus(name), {
      name,
      bootId: "1",
      agentVersion: "0",
      format: FORMAT_LEVEL,
      platform: { os: "linux", architecture: "amd64" },
      kernel: "6.1",
      engine: { name: "model", version: "1", apiVersion: "1.41", reachable: true },
      capacity: { cpuMillis: 16_000, memoryBytes, diskBytes: 2 ** 40, pids: 0 },
      reserved: { cpuMillis: 0, memoryBytes: 0, diskBytes: 0 },
      diskFreeBytes: 2 ** 39,
      diskPressure: false,
      address: "127.0.0.1",
      conditions: [],
      reportedAt: this.now,
    });
  }

  /** The node's agent has done what every pending deployment waits for. */
  finishOperations(): void {
    for (const { key, value } of this.view.operations.all()) {
      if (value.state === "done" || value.state === "failed") continue;
      const { input } = value;
      const images =
        input.kind === "resolve-images"
          ? Object.fromEntries(
              input.images.map(({ reference }) => [
                reference,
                { reference, imageId: digestOf(reference) },
              ]),
            )
          : {};
      this.put("operation", key, { ...value, state: "done", images, updatedAt: this.now });
    }
  }

  #holds(compare: Compare): boolean {
    const kind = heldKey(compare.key)?.kind;
    const revision =
      kind === undefined ? 0 : (this.view.table(kind).get(compare.key)?.revision ?? 0);
    assert(compare.target === "modRevision" && compare.op === "=", "a comparison of revisions");
    return compare.value === revision;
  }

  #applyOperation(operation: Operation): void {
    if (operation.kind !== "put" && operation.kind !== "delete") return;
    const parts = heldKey(operation.key);
    assert(parts !== undefined, `${operation.key} is held`);
    const table = this.view.table(parts.kind);
    if (operation.kind === "delete") {
      table.delete(operation.key);
      return;
    }
    const { key, value } = operation;
    const entry = { key, value, createRevision: 1, modRevision: this.revision, version: 1 };
    const entity = decodeEntry(parts, entry);
    if (entity !== undefined) table.set(entity);
  }
}

function rolloutUnit(key: string, revision: number, stack: Stack): Unit {
  const unit = new Unit();
  unit.expect(key, revision);
  unit.put(key, encode(stack));
  return unit;
}

/** A digest that says which reference it stands for. */
export function digestOf(reference: string): string {
  return `sha256:${Buffer.from(reference).toString("hex").slice(0, 64).padStart(64, "0")}`;
}
