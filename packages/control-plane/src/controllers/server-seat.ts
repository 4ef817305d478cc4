/**
 * This server among the others that share its store: its lease, its presence, and who of them leads.
 *
 * The leadership key hangs on the lease of who holds it. Whoever finds it absent takes it, in a transaction
 * that compares its absence: one wins. Every write of a controller compares the key's revision, so a leader
 * that has lost it without knowing can write nothing; noticing (a renewal that is refused, or none that
 * succeeds for as long as the lease lasts) only spares it the work.
 *
 * A server that does not lead is heard of by agents all the same; it says of whom in its presence, once
 * a period, and the leader takes that for a renewal of its own.
 *
 * Cost: one renewal a period and, at a server that agents talk to, one write of their names.
 */

import { type Clock, type Driver, type Logger, type Loop, SECOND_MS } from "@berth/base";
import { FORMAT_LEVEL, keys } from "@berth/protocol";
import type { ChangeBatch, ClusterState } from "../state/cluster-state.ts";
import { encode } from "../state/decode.ts";
import { StoreLeaseNotFound } from "../store/errors.ts";
import type { Compare, LeaseId, Revision, Store } from "../store/port.ts";

/** A leader that is gone is replaced after this and a second at most; etcd grants no less than two. */
export const SEAT_LEASE_MS = 3 * SECOND_MS;
/** Two renewals may be lost. */
const PERIOD_MS = SEAT_LEASE_MS / 3;

export interface ServerSeatOptions {
  readonly store: Store;
  readonly state: ClusterState;
  readonly clock: Clock;
  readonly log: Logger;
  readonly driver: Driver;
  /** Names this life of this server. */
  readonly server: string;
  /** Its machine as a node. */
  readonly node?: string;
  /** This server leads from now on, for as long as `conditions` hold. The state shows that it does. */
  readonly onGain: (conditions: readonly Compare[]) => void;
  /** It leads no more; resolves when it has stopped acting. */
  readonly onLoss: () => Promise<void>;
}

export class ServerSeat {
  readonly #options: ServerSeatOptions;
  readonly #heard = new Set<string>();
  /** Of whom was told in the last two periods. */
  #told: readonly [ReadonlySet<string>, ReadonlySet<string>] = [new Set(), new Set()];
  #loop: Loop | undefined;
  #endListening: (() => void) | undefined;
  #leaseId: LeaseId | undefined;
  /** When the lease was last known to hold; on the monotonic clock. */
  #confirmedAt = 0;
  #isPresent = false;
  #leads = false;

  constructor(options: ServerSeatOptions) {
    this.#options = options;
  }

  start(): void {
    const { state, driver } = this.#options;
    this.#endListening = state.onChange((batch) => this.#onChange(batch));
    this.#loop = driver.add({
      name: "server-seat",
      purpose: "keeps this server known to the others, and one of them the leader",
      periodMs: PERIOD_MS,
      run: (signal) => this.#run(signal),
    });
  }

  /** Gives everything back, so that another leads at once. */
  async stop(): Promise<void> {
    const { driver, store, log, onLoss } = this.#options;
    this.#endListening?.();
    await driver.remove("server-seat");
    if (this.#leads) {
      this.#leads = false;
      await onLoss();
    }
    if (this.#leaseId === undefined) return;
    const failed = (error: unknown) => log.debug("the seat was left to expire", { error });
    await store.revokeLease(this.#leaseId).catch(failed);
  }

  /** An agent was heard of while this server does not lead. */
  heard(node: string): void {
    this.#heard.add(node);
    // It came from another server, whose word of it may be a second old: its lease must not end meanwhile.
    if (!this.#told.some((names) => names.has(node))) this.#loop?.wake();
  }

  #onChange(batch: ChangeBatch): void {
    if (this.#leads) return;
    const isFree = (change: (typeof batch.changes)[number]) =>
      change.kind === "leader" && change.entity === undefined;
    if (batch.changes.some(isFree)) this.#loop?.wake();
  }

  async #run(signal: AbortSignal): Promise<void> {
    try {
      const leaseId = await this.#renew();
      if (!this.#leads) await this.#campaign(leaseId, signal);
      await this.#tellPresence(leaseId, signal);
    } catch (error) {
      const now = this.#options.clock.monotonic();
      if (this.#leads && now - this.#confirmedAt > SEAT_LEASE_MS) await this.#lose("no renewal");
      throw error;
    }
  }

  /** The lease of this server, alive. */
  async #renew(): Promise<LeaseId> {
    const { store, clock } = this.#options;
    const asked = clock.monotonic();
    if (this.#leaseId !== undefined) {
      try {
        await store.keepAlive(this.#leaseId);
        this.#confirmedAt = asked;
        return this.#leaseId;
      } catch (error) {
        if (!(error instanceof StoreLeaseNotFound)) throw error;
        this.#leaseId = undefined;
        this.#isPresent = false;
        if (this.#leads) await this.#lose("its lease has ended");
      }
    }
    const { leaseId } = await store.grantLease(SEAT_LEASE_MS);
    this.#leaseId = leaseId;
    this.#confirmedAt = asked;
    return leaseId;
  }

  /** Takes the leadership when nobody alive holds it. */
  async #campaign(leaseId: LeaseId, signal: AbortSignal): Promise<void> {
    const { state, log, server, onGain } = this.#options;
    const revision = await this.#take(leaseId, signal);
    if (revision === undefined) return;
    await state.waitFor(revision, signal);
    this.#leads = true;
    log.info("this server leads", { server, revision });
    onGain([{ key: keys.leader(), target: "modRevision", op: "=", value: revision }]);
  }

  /** The revision of the leadership key when it is ours now. */
  async #take(leaseId: LeaseId, signal: AbortSignal): Promise<Revision | undefined> {
    const { store, clock, server } = this.#options;
    const key = keys.leader();
    const { entry } = await store.get(key, { signal });
    // Taken before, by a write whose end was unknown.
    if (entry?.leaseId === leaseId) return entry.modRevision;
    // One without a lease is of a server that had the store for itself.
    if (entry?.leaseId !== undefined) return undefined;
    const before = entry?.modRevision ?? 0;
    const value = encode({ server, ...this.#node(), since: clock.now() });
    const { succeeded, revision } = await store.txn(
      {
        compare: [{ key, target: "modRevision", op: "=", value: before }],
        then: [{ kind: "put", key, value, leaseId }],
      },
      { signal },
    );
    return succeeded ? revision : undefined;
  }

  async #lose(reason: string): Promise<void> {
    const { server, log, onLoss } = this.#options;
    this.#leads = false;
    log.warn("this server leads no more", { server, reason });
    await onLoss();
  }

  #node(): { readonly node?: string } {
    const { node } = this.#options;
    return node === undefined ? {} : { node };
  }

  async #tellPresence(leaseId: LeaseId, signal: AbortSignal): Promise<void> {
    const { store, clock, server } = this.#options;
    if (this.#isPresent && this.#heard.size === 0) return;
    const heard = [...this.#heard];
    this.#heard.clear();
    this.#told = [new Set(heard), this.#told[0]];
    const since = clock.now();
    const value = encode({ server, ...this.#node(), since, format: FORMAT_LEVEL, heard });
    const put = { kind: "put", key: keys.server(server), value, leaseId } as const;
    await store.txn({ compare: [], then: [put] }, { signal });
    this.#isPresent = true;
  }
}
