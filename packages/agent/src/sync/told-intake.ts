/**
 * Takes in what the server tells about this node: a full list at the start of a stream, changes after.
 *
 * What was told is durable before anything is done about it, and the rules of trust.ts decide what its
 * silence means. Changes of one moment are written together.
 */

import type { Driver, Logger, Loop } from "@berth/base";
import type { Assignment, Network, Operation, WatchEvent } from "@berth/protocol";
import type { AgentState, ToldTask } from "../state/agent-state.ts";
import type { Intent } from "../task/step-input.ts";
import { parsePosition, superseded, type Trust, trustIn } from "./trust.ts";

export interface ToldIntakeOptions {
  readonly state: AgentState;
  readonly driver: Driver;
  readonly log: Logger;
  readonly cluster: () => string;
  readonly bootId: string;
  readonly confirmedEpoch: () => string | undefined;
  readonly onTasks: (tasks: readonly string[]) => void;
  readonly onNetworks: () => void;
  /** Operations that are to be done, and identifiers of those that exist no more. */
  readonly onOperations: (put: readonly Operation[], gone: readonly string[]) => void;
  /** A full list was taken in. */
  readonly onSynced: (trust: Trust) => void;
}

type Value = { readonly kind: string; readonly value: unknown };

export class ToldIntake {
  readonly #options: ToldIntakeOptions;
  readonly #loop: Loop;
  /** While a list is coming: everything of it by key. */
  #listing: Map<string, Value> | undefined;
  /** Lists and dismissals so far: each makes changes from before it void. */
  #lists = 0;
  /** Kind and identifier by key: deletions name keys only. */
  readonly #byKey = new Map<string, { readonly kind: string; readonly id: string }>();
  #changes: { readonly key: string; readonly value: Value | undefined }[] = [];
  #restored: readonly string[] = [];
  #isSynced = false;

  constructor(options: ToldIntakeOptions) {
    this.#options = options;
    this.#loop = options.driver.add({
      name: "told",
      purpose: "Writes down what the server tells, then acts on it.",
      run: () => this.#applyChanges(),
    });
  }

  /** A list of this life was taken in, and trusted in full. */
  get isTrusted(): boolean {
    return this.#isSynced;
  }

  /** Tasks that run although the store, restored, does not know them. */
  get strays(): readonly string[] {
    return this.#restored;
  }

  /** A stream without a position begins: its list replaces what was known. */
  beginList(): void {
    this.#lists++;
    this.#listing = new Map();
  }

  put(event: Extract<WatchEvent, { type: "put" }>): void {
    const value = { kind: event.kind, value: event.value };
    if (this.#listing !== undefined) this.#listing.set(event.key, value);
    else this.#change(event.key, value);
  }

  delete(key: string): void {
    if (this.#listing !== undefined) this.#listing.delete(key);
    else this.#change(key, undefined);
  }

  /** The list is complete at `position`. */
  async synced(position: string): Promise<void> {
    const listing = this.#listing;
    if (listing === undefined) return;
    this.#listing = undefined;
    this.#changes = [];
    const { state, cluster, bootId, confirmedEpoch, onSynced, log } = this.#options;
    const at = parsePosition(position);
    if (at === undefined) return;
    const speaker = { cluster: cluster(), ...at };
    const trust = trustIn(state.server, speaker, confirmedEpoch());
    if (trust.kind === "foreign") {
      log.error("the server is of another cluster: nothing of it is followed", trust);
      return onSynced(trust);
    }
    await this.#takeList(listing, trust);
    // A restored store's epoch is remembered only when a person confirmed it, or nothing is in doubt.
    const isClear = trust.kind === "full" || this.#restored.length === 0;
    const memory = isClear ? { ...state.server, ...speaker } : state.server;
    await state.putServer({ ...memory, cluster: speaker.cluster, contactBootId: bootId });
    this.#isSynced = isClear;
    onSynced(trust);
  }

  /** The cluster has removed this node, and started what ran here elsewhere: all of it ends. */
  async dismissed(): Promise<void> {
    const { state, onTasks } = this.#options;
    this.#lists++;
    this.#listing = undefined;
    this.#changes = [];
    const told = [...state.told.values()].filter(({ intent }) => intent !== "forget");
    if (told.length === 0) return;
    await state.putTold(told.map((one) => ({ ...one, intent: "forget" })));
    onTasks(told.map(({ assignment }) => assignment.task.id));
  }

  #change(key: string, value: Value | undefined): void {
    this.#changes.push({ key, value });
    this.#loop.wake();
  }

  async #takeList(listing: ReadonlyMap<string, Value>, trust: Trust): Promise<void> {
    const { state, onTasks, onNetworks, onOperations } = this.#options;
    this.#byKey.clear();
    for (const [key, { kind, value }] of listing) this.#note(key, kind, value);
    const listed = valuesOf<Assignment>(listing, "assignment");
    const known = new Set(listed.map(({ task }) => task.id));
    const unknown = [...state.told.values()].filter(
      ({ assignment }) => !known.has(assignment.task.id),
    );
    const ending = this.#unknownThatEnd(unknown, listed, trust);
    const told = [...listed.map(toldOf), ...ending];
    await state.putTold(told);
    const networks = valuesOf<Network>(listing, "network");
    const ids = new Set(networks.map(({ id }) => id));
    // A restored store may not know networks that tasks still use.
    const gone =
      trust.kind === "full" ? [...state.networks.keys()].filter((id) => !ids.has(id)) : [];
    await state.putNetworks(networks, gone);
    onNetworks();
    onTasks(told.map(({ assignment }) => assignment.task.id));
    onOperations(valuesOf<Operation>(listing, "operation"), []);
  }

  /** What becomes of tasks that the list does not have. */
  #unknownThatEnd(
    unknown: readonly ToldTask[],
    listed: readonly Assignment[],
    trust: Trust,
  ): ToldTask[] {
    const forget = (told: ToldTask): ToldTask => ({ ...told, intent: "forget" });
    if (trust.kind === "full") {
      this.#restored = [];
      return unknown.map(forget);
    }
    const assignments = unknown.map(({ assignment }) => assignment);
    const taken = superseded(assignments, listed);
    const running = unknown.filter(({ intent }) => intent === "run");
    this.#restored = running
      .map(({ assignment }) => assignment.task.id)
      .filter((id) => !taken.has(id));
    return unknown
      .filter(({ assignment, intent }) => intent !== "run" || taken.has(assignment.task.id))
      .map(forget);
  }

  #note(key: string, kind: string, value: unknown): void {
    this.#byKey.set(key, { kind, id: idOf(kind, value) });
  }

  async #applyChanges(): Promise<void> {
    const changes = this.#changes;
    if (changes.length === 0 || this.#listing !== undefined) return;
    this.#changes = [];
    const lists = this.#lists;
    const latest = new Map(changes.map(({ key, value }) => [key, value]));
    try {
      await this.#apply(latest);
    } catch (error) {
      // Told once: what a full disk refused is taken in again, before what came meanwhile. A list replaces it.
      if (lists === this.#lists) this.#changes = [...changes, ...this.#changes];
      throw error;
    }
    if (lists !== this.#lists) return;
    for (const [key, change] of latest) if (change === undefined) this.#byKey.delete(key);
  }

  async #apply(latest: ReadonlyMap<string, Value | undefined>): Promise<void> {
    const { state, onTasks, onNetworks, onOperations } = this.#options;
    const told: ToldTask[] = [];
    const networks: Network[] = [];
    const goneNetworks: string[] = [];
    const operations: Operation[] = [];
    const goneOperations: string[] = [];
    for (const [key, change] of latest) {
      if (change !== undefined) this.#note(key, change.kind, change.value);
      const { kind, id } = this.#byKey.get(key) ?? { kind: "", id: "" };
      if (kind === "assignment") {
        const before = state.told.get(id);
        if (change !== undefined) told.push(toldOf(change.value as Assignment));
        else if (before !== undefined) told.push({ ...before, intent: "forget" });
      }
      if (kind === "network" && change === undefined) goneNetworks.push(id);
      if (kind === "network" && change !== undefined) networks.push(change.value as Network);
      if (kind === "operation" && change === undefined) goneOperations.push(id);
      if (kind === "operation" && change !== undefined) operations.push(change.value as Operation);
    }
    if (networks.length + goneNetworks.length > 0) {
      await state.putNetworks(networks, goneNetworks);
      onNetworks();
    }
    if (told.length > 0) await state.putTold(told);
    if (told.length > 0) onTasks(told.map(({ assignment }) => assignment.task.id));
    onOperations(operations, goneOperations);
  }
}

function valuesOf<T>(listing: ReadonlyMap<string, Value>, kind: string): T[] {
  return [...listing.values()].filter((each) => each.kind === kind).map(({ value }) => value as T);
}

function idOf(kind: string, value: unknown): string {
  if (kind === "assignment") return (value as Assignment).task.id;
  return (value as Network | Operation).id;
}

export function toldOf(assignment: Assignment): ToldTask {
  return { assignment, intent: intentOf(assignment) };
}

function intentOf({ task }: Assignment): Intent {
  return task.desired === "stopped" || task.verdict !== undefined ? "stop" : "run";
}
