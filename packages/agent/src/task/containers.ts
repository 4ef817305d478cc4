/**
 * The containers of ours as last observed, by task. Three sources feed it: full lists, events, and the
 * runner's own operations, which know first.
 *
 * A list is taken in while time goes on: what was noted after it began is not overwritten by it. O(1) a
 * note, O(containers) a list.
 */

import { type ContainerState, LABEL_TASK } from "../runtime/port.ts";

interface Entry {
  /** `undefined`: gone. */
  readonly state: ContainerState | undefined;
  readonly task: string;
  readonly noted: number;
}

export class Containers {
  readonly #entries = new Map<string, Entry>();
  readonly #byTask = new Map<string, Set<string>>();
  #count = 0;
  /**
   * Called with the tasks whose containers a list showed to be other than known, whoever asked for the list:
   * the next list would show nothing new any more.
   */
  onListed: (tasks: ReadonlySet<string>) => void = () => {};

  /** Hand this to `replaceAll` with the list that is asked for now. */
  begin(): number {
    return this.#count;
  }

  /** A full list that was asked for at `begun`. */
  replaceAll(begun: number, states: readonly ContainerState[]): void {
    const changed = new Set<string>();
    const listed = new Map(states.map((state) => [state.id, state]));
    for (const [id, entry] of [...this.#entries]) {
      if (listed.has(id) || entry.noted > begun) continue;
      if (entry.state !== undefined) changed.add(entry.task);
      this.#delete(id, entry.task);
    }
    for (const state of states) {
      const known = this.#entries.get(state.id);
      if (known !== undefined && known.noted > begun) continue;
      if (known?.state?.phase !== state.phase) changed.add(taskOf(state));
      this.note(state);
    }
    if (changed.size > 0) this.onListed(changed);
  }

  note(state: ContainerState): void {
    const task = taskOf(state);
    this.#entries.set(state.id, { state, task, noted: ++this.#count });
    const ids = this.#byTask.get(task) ?? new Set<string>();
    ids.add(state.id);
    this.#byTask.set(task, ids);
  }

  /** It is gone; remembered until the next full list, so that a list under way does not bring it back. */
  drop(id: string): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) return;
    this.#entries.set(id, { ...entry, state: undefined, noted: ++this.#count });
    this.#byTask.get(entry.task)?.delete(id);
  }

  /** Containers that run, with their tasks. */
  *running(): Iterable<readonly [string, ContainerState]> {
    for (const { state, task } of this.#entries.values()) {
      if (state?.phase === "running") yield [task, state];
    }
  }

  get(id: string): ContainerState | undefined {
    return this.#entries.get(id)?.state;
  }

  of(task: string): readonly ContainerState[] {
    const states: ContainerState[] = [];
    for (const id of this.#byTask.get(task) ?? []) {
      const state = this.#entries.get(id)?.state;
      if (state !== undefined) states.push(state);
    }
    return states;
  }

  *all(): Generator<ContainerState> {
    for (const { state } of this.#entries.values()) if (state !== undefined) yield state;
  }

  /** Tasks that have containers. */
  tasks(): readonly string[] {
    return [...this.#byTask].filter(([, ids]) => ids.size > 0).map(([task]) => task);
  }

  #delete(id: string, task: string): void {
    this.#entries.delete(id);
    const ids = this.#byTask.get(task);
    ids?.delete(id);
    if (ids?.size === 0) this.#byTask.delete(task);
  }
}

function taskOf(state: ContainerState): string {
  return state.labels[LABEL_TASK] ?? "";
}
