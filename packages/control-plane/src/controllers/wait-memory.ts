/**
 * What services wait for, as of their last evaluation, and since when: memory for people who ask why.
 * Lost at a restart and derived again by the next evaluation; bounded by the services that exist.
 */

import type { Wait } from "@berth/protocol";

interface StackWaits {
  readonly byService: ReadonlyMap<string, readonly Wait[]>;
  readonly stackWaits: readonly Wait[];
  /** Something of another stack may help: look again when others give something up. */
  readonly hasNoPlace: boolean;
}

export class WaitMemory {
  readonly #byStack = new Map<string, StackWaits>();

  remember(stack: string, waits: StackWaits, now: number): void {
    const before = this.#byStack.get(stack);
    const byService = new Map<string, readonly Wait[]>();
    for (const [service, list] of waits.byService) {
      byService.set(service, withSince(list, before?.byService.get(service) ?? [], now));
    }
    const stackWaits = withSince(waits.stackWaits, before?.stackWaits ?? [], now);
    this.#byStack.set(stack, { ...waits, byService, stackWaits });
  }

  forget(stack: string): void {
    this.#byStack.delete(stack);
  }

  /** What `service` (`default/main/shop/web`) waits for; `undefined` when it was not looked at yet. */
  of(service: string): readonly Wait[] | undefined {
    const stack = service.slice(0, service.lastIndexOf("/"));
    return this.#byStack.get(stack)?.byService.get(service);
  }

  /** What the stack as a whole waits for: its removal. */
  ofStack(stack: string): readonly Wait[] {
    return this.#byStack.get(stack)?.stackWaits ?? [];
  }

  /** Stacks that may go on when others give something up. */
  stacks(): string[] {
    return [...this.#byStack].filter(([, { hasNoPlace }]) => hasNoPlace).map(([stack]) => stack);
  }
}

/** A wait of the same kind for the same copy goes on; its words may change with the numbers in them. */
function withSince(waits: readonly Wait[], before: readonly Wait[], now: number): Wait[] {
  return waits.map((wait) => {
    const known = before.find(({ kind, slot }) => kind === wait.kind && slot === wait.slot);
    return { ...wait, since: known?.since ?? wait.since ?? now };
  });
}
