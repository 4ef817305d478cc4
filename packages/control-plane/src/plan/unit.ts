/**
 * A unit of a plan: what is written together or not at all, with the conditions under which it may be.
 * Each unit leaves the store consistent, so a plan may be split between units wherever limits demand it.
 */

import { assert } from "@berth/base";
import type { Task } from "@berth/protocol";
import { unchangedSince } from "../release/refusal.ts";
import { TXN_BYTES_MAX, TXN_OPERATIONS_MAX } from "../store/limits.ts";
import type { Compare, Operation, Txn } from "../store/port.ts";

/** Conditions and writes by key: saying the same twice says it once, a later write replaces an earlier. */
export class Unit {
  readonly compare = new Map<string, Compare>();
  readonly operations = new Map<string, Operation>();
  readonly tasks: Task[] = [];
  readonly subnets: string[] = [];
  /** Tasks of this unit that share a claim: members of one pod. */
  readonly claimed = new Map<string, readonly string[]>();

  /** The unit holds only while `key` is as it was read. */
  expect(key: string, revision: number | undefined): void {
    this.compare.set(key, unchangedSince(key, revision));
  }

  put(key: string, value: string): void {
    this.operations.set(key, { kind: "put", key, value });
  }

  delete(key: string): void {
    this.operations.set(key, { kind: "delete", key });
  }

  /** Takes over everything of `other`. */
  join(other: Unit): void {
    for (const [key, compare] of other.compare) this.compare.set(key, compare);
    for (const [key, operation] of other.operations) this.operations.set(key, operation);
    this.tasks.push(...other.tasks);
    this.subnets.push(...other.subnets);
  }

  get isEmpty(): boolean {
    return this.operations.size === 0;
  }
}

/** A transaction with what must be kept in mind until it shows in the view. */
export interface PlannedTxn {
  readonly txn: Txn;
  readonly tasks: readonly Task[];
  readonly subnets: readonly string[];
}

/** A transaction is closed at this share of the store's limit: its keys and conditions count as well. */
const BYTES_MAX = TXN_BYTES_MAX / 2;

/**
 * Puts units into as few transactions as the store's limits allow, in order. `common` conditions go into
 * each. A unit alone must fit: a start writes some tens of keys at most.
 */
export function packUnits(units: readonly Unit[], common: readonly Compare[]): PlannedTxn[] {
  const packed: PlannedTxn[] = [];
  let open = new Unit();
  let bytes = 0;
  const compareMax = TXN_OPERATIONS_MAX - common.length;
  const close = () => {
    if (!open.isEmpty) packed.push(plannedTxn(open, common));
    open = new Unit();
    bytes = 0;
  };
  for (const unit of units) {
    if (unit.isEmpty) continue;
    const size = bytesOf(unit);
    assert(unit.operations.size <= TXN_OPERATIONS_MAX, "a unit fits into one transaction");
    assert(unit.compare.size <= compareMax, "a unit's conditions fit into one transaction");
    const fits =
      open.operations.size + unit.operations.size <= TXN_OPERATIONS_MAX &&
      open.compare.size + unit.compare.size <= compareMax &&
      bytes + size <= BYTES_MAX;
    if (!fits) close();
    open.join(unit);
    bytes += size;
  }
  close();
  return packed;
}

function plannedTxn(unit: Unit, common: readonly Compare[]): PlannedTxn {
  const own = [...unit.compare.values()];
  const keys = new Set(own.map(({ key }) => key));
  const compare = [...common.filter(({ key }) => !keys.has(key)), ...own];
  const then = [...unit.operations.values()];
  return { txn: { compare, then }, tasks: unit.tasks, subnets: unit.subnets };
}

function bytesOf(unit: Unit): number {
  let bytes = 0;
  for (const operation of unit.operations.values()) {
    if (operation.kind === "put") bytes += operation.key.length + 2 * operation.value.length;
  }
  return bytes;
}
