/**
 * One at a time: copies of a service whose live probe is bad are restarted in turns on this node, so that a
 * probe that fails everywhere (its database is away) does not take all copies down at once.
 *
 * A turn lasts until its copy is ready again, or for `TURN_MS`. O(1).
 */

/** A copy that does not come back in this time does not keep the others from their restart. */
const TURN_MS = 60_000;

export class LiveTurns {
  readonly #turns = new Map<string, { readonly task: string; readonly until: number }>();

  /** Whether `task` may be restarted now; it then has the turn. */
  take(service: string, task: string, now: number): boolean {
    const turn = this.#turns.get(service);
    if (turn !== undefined && turn.task !== task && now < turn.until) return false;
    if (turn?.task !== task) this.#turns.set(service, { task, until: now + TURN_MS });
    return true;
  }

  /** The copy is ready again, or gone. */
  end(service: string, task: string): void {
    if (this.#turns.get(service)?.task === task) this.#turns.delete(service);
  }
}
