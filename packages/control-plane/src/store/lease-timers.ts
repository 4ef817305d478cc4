/**
 * When leases end. Deadlines live in memory and start anew when a store is opened: a restart of the
 * server never makes somebody look dead who could not reach it.
 *
 * Cost: O(1) a renewal; a timer is only set again when it fires and finds its lease renewed.
 */

import type { CancelTimer, Clock } from "@berth/base";
import type { Lease, LeaseId } from "./port.ts";

interface RunningLease {
  readonly ttlMs: number;
  deadline: number;
  cancel: CancelTimer;
}

export class LeaseTimers {
  readonly #clock: Clock;
  readonly #expire: (leaseId: LeaseId) => void;
  readonly #leases = new Map<LeaseId, RunningLease>();

  /** `expire` is called once for a lease whose time has passed; it is forgotten here before. */
  constructor(clock: Clock, expire: (leaseId: LeaseId) => void) {
    this.#clock = clock;
    this.#expire = expire;
  }

  has(leaseId: LeaseId): boolean {
    return this.#leases.has(leaseId);
  }

  start(lease: Lease): void {
    const deadline = this.#clock.monotonic() + lease.ttlMs;
    const cancel = this.#arm(lease.leaseId, lease.ttlMs);
    this.#leases.set(lease.leaseId, { ttlMs: lease.ttlMs, deadline, cancel });
  }

  /** `undefined` when the lease has ended. */
  renew(leaseId: LeaseId): Lease | undefined {
    const lease = this.#leases.get(leaseId);
    if (lease === undefined) return undefined;
    lease.deadline = this.#clock.monotonic() + lease.ttlMs;
    return { leaseId, ttlMs: lease.ttlMs };
  }

  forget(leaseId: LeaseId): void {
    this.#leases.get(leaseId)?.cancel();
    this.#leases.delete(leaseId);
  }

  clear(): void {
    for (const lease of this.#leases.values()) lease.cancel();
    this.#leases.clear();
  }

  #arm(leaseId: LeaseId, delayMs: number): CancelTimer {
    return this.#clock.setTimer(delayMs, () => this.#fire(leaseId));
  }

  #fire(leaseId: LeaseId): void {
    const lease = this.#leases.get(leaseId);
    if (lease === undefined) return;
    const leftMs = lease.deadline - this.#clock.monotonic();
    if (leftMs > 0) {
      lease.cancel = this.#arm(leaseId, leftMs);
      return;
    }
    this.#leases.delete(leaseId);
    this.#expire(leaseId);
  }
}
