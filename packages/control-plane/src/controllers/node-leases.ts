/**
 * Who is in contact: leases of nodes, in memory, on the monotonic clock. Only transitions are stored.
 *
 * Pure bookkeeping without timers or store: `LeaseController` asks it what has changed. Invariants: a
 * stall of the server itself counts against nobody (all leases are longer by as much); after a start every
 * known node has a whole lease. What follows from silence: `node-contact.ts`.
 */

export interface LeaseSettings {
  readonly leaseMs: number;
}

export class NodeLeases {
  #leaseMs: number;
  /** A shorter lease that agents are told of, and since when. */
  #shorter: { readonly leaseMs: number; readonly since: number } | undefined;
  /** When each node was heard of last; on the monotonic clock, moved forward by stalls. */
  readonly #heardAt = new Map<string, number>();
  /** Nodes that were heard of in this life of the server: only they can be known to be in contact. */
  readonly #renewed = new Set<string>();
  #lookedAt: number | undefined;

  constructor(settings: LeaseSettings) {
    this.#leaseMs = settings.leaseMs;
  }

  /** The node's agent was heard of. */
  renew(node: string, now: number): void {
    this.#heardAt.set(node, now);
    this.#renewed.add(node);
  }

  /**
   * Leases last so long from now on. A shorter one counts only after a whole old lease, in which every agent that
   * lives has renewed and was told of it: until then some renew no more often than the old one asks for.
   */
  setLength(leaseMs: number, now: number): void {
    if (leaseMs >= this.#leaseMs) {
      this.#leaseMs = leaseMs;
      this.#shorter = undefined;
      return;
    }
    if (this.#shorter === undefined || leaseMs < this.#shorter.leaseMs) {
      this.#shorter = { leaseMs, since: now };
    }
    if (now - this.#shorter.since <= this.#leaseMs) return;
    this.#leaseMs = this.#shorter.leaseMs;
    this.#shorter = undefined;
  }

  /**
   * Must be called every `periodMs`: a longer time between two calls is a stall of this process, during
   * which nobody could be heard.
   */
  look(nodes: readonly string[], now: number, periodMs: number): void {
    const gap = this.#lookedAt === undefined ? 0 : now - this.#lookedAt;
    this.#lookedAt = now;
    const stall = Math.max(0, gap - 2 * periodMs);
    const known = new Set(nodes);
    for (const node of this.#heardAt.keys()) {
      if (known.has(node)) continue;
      this.#heardAt.delete(node);
      this.#renewed.delete(node);
    }
    for (const node of nodes) {
      const heard = this.#heardAt.get(node);
      if (heard === undefined) this.#heardAt.set(node, now);
      else if (stall > 0) this.#heardAt.set(node, Math.min(now, heard + stall));
    }
  }

  /** Whether the node's lease has run out. */
  isSilent(node: string, now: number): boolean {
    const heard = this.#heardAt.get(node);
    return heard !== undefined && now - heard > this.#leaseMs;
  }

  /** Whether the node was heard of within its lease, not only assumed to be there after a start. */
  isHeard(node: string, now: number): boolean {
    return this.#renewed.has(node) && !this.isSilent(node, now);
  }

  /** For how long nothing was heard of the node, milliseconds; 0 for one that is not known. */
  silentFor(node: string, now: number): number {
    return now - (this.#heardAt.get(node) ?? now);
  }
}
