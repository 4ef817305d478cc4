/**
 * Which stacks are to be looked at and when. A stack is in it at most once, with the earliest time that
 * anybody asked for; so however many events there are, one look follows. Cost: O(1) a wish, O(n) a look
 * for what is due, where n is the number of stacks that wait for a time.
 */

export class EvaluationQueue {
  /** Stack to due time on the monotonic clock. */
  readonly #due = new Map<string, number>();

  /** Wants a look at `stack` at `at`, or earlier if somebody asked for it already. */
  want(stack: string, at: number): void {
    const known = this.#due.get(stack);
    if (known === undefined || at < known) this.#due.set(stack, at);
  }

  /** Takes a stack that is due and that `busy` does not hold; `undefined` when there is none. */
  take(now: number, busy: ReadonlySet<string>): string | undefined {
    for (const [stack, at] of this.#due) {
      if (at > now || busy.has(stack)) continue;
      this.#due.delete(stack);
      return stack;
    }
    return undefined;
  }

  /** When the next stack is due; `undefined` when none is. */
  nextDue(): number | undefined {
    let next: number | undefined;
    for (const at of this.#due.values()) if (next === undefined || at < next) next = at;
    return next;
  }
}
