/**
 * Says that this node lives and how it is: the lease is renewed three times within its length, the report
 * is sent when it changed and now and then. Every report renews the lease as well, so a node that is busy
 * reporting asks for nothing besides.
 *
 * A renewal that fails is no failure of the loop's: it is repeated sooner than the next would be due.
 */

import {
  type Clock,
  type Driver,
  type Loop,
  type LoopResult,
  MINUTE_MS,
  SECOND_MS,
} from "@berth/base";
import {
  type ApiClient,
  asProtocolError,
  type FloatingPart,
  type NodeStatus,
  PROTOCOL_VERSION_FIRST,
} from "@berth/protocol";

/** Renewals within one lease: two may be lost. */
const RENEWALS_PER_LEASE = 3;
/** Pause after a failed renewal. */
const RETRY_MS = 500;
/** Before the server has said how long a lease is. */
const LEASE_MS_UNKNOWN = 10 * SECOND_MS;
/** A report without a change, so that disk figures are not older than this. */
const REPORT_PERIOD_MS = MINUTE_MS;
/** How often it is looked whether the report would say something new. */
const LOOK_PERIOD_MS = 10 * SECOND_MS;

export interface NodeReporterOptions {
  readonly api: Pick<ApiClient, "call">;
  readonly node: string;
  readonly clock: Clock;
  readonly driver: Driver;
  readonly pinned: () => string | undefined;
  readonly status: (signal: AbortSignal) => Promise<NodeStatus>;
  readonly isJoined: () => boolean;
  /** Milliseconds on the boot-time clock. */
  readonly bootMs: () => number;
  /** A server answered what was sent at `sentMs` (boot-time clock). */
  readonly onHeard: (sentMs: number) => void;
  /** What part this node has in floating addresses now. */
  readonly onFloating: (parts: readonly FloatingPart[]) => void;
}

export class NodeReporter {
  readonly #options: NodeReporterOptions;
  readonly #lease: Loop;
  readonly #look: Loop;
  #leaseMs = LEASE_MS_UNKNOWN;
  /** When the newest call was sent by which a server took the lease for renewed; monotonic. */
  #renewedAt = Number.NEGATIVE_INFINITY;
  #protocol = PROTOCOL_VERSION_FIRST;
  #sent: { readonly text: string; readonly at: number } | undefined;

  constructor(options: NodeReporterOptions) {
    this.#options = options;
    this.#lease = options.driver.add({
      name: "lease",
      purpose: "Tells the server that this node lives.",
      run: (signal) => this.#renew(signal),
    });
    this.#look = options.driver.add({
      name: "node-report",
      purpose: "Tells the server how this node is, when that changes.",
      periodMs: LOOK_PERIOD_MS,
      run: (signal) => this.#reportIfNew(signal),
    });
  }

  /** Newest protocol of the server that answered the last report. */
  get protocol(): number {
    return this.#protocol;
  }

  /** Something that the report says has changed. */
  changed(): void {
    this.#look.wake();
  }

  /** A server answered another report of this node, sent at `sentMs` (boot-time clock) and `sentAt` (monotonic). */
  heard(sentMs: number, sentAt: number): void {
    this.#options.onHeard(sentMs);
    this.#renewedAt = Math.max(this.#renewedAt, sentAt);
  }

  /** Contact was made. The report came before it, when nothing could be renewed yet. */
  joined(): void {
    this.#lease.wake();
    this.#look.wake();
  }

  /** Sends the report; answers the cluster of the server. */
  async report(signal: AbortSignal): Promise<string> {
    const { api, node, clock, pinned, status, bootMs } = this.#options;
    const current = await status(signal);
    const cluster = pinned();
    const body = cluster === undefined ? { status: current } : { cluster, status: current };
    const sentMs = bootMs();
    const sentAt = clock.monotonic();
    const answer = await api.call("reportNode", { params: { node }, body, signal });
    this.heard(sentMs, sentAt);
    this.#leaseMs = answer.leaseMs;
    this.#protocol = answer.protocol ?? PROTOCOL_VERSION_FIRST;
    this.#sent = { text: textOf(current), at: clock.monotonic() };
    this.#lease.wake();
    return answer.cluster;
  }

  async #renew(signal: AbortSignal): Promise<LoopResult> {
    const { api, node, clock, isJoined, bootMs, onFloating } = this.#options;
    if (!isJoined()) return;
    const sentAt = clock.monotonic();
    const dueMs = this.#renewedAt + this.#leaseMs / RENEWALS_PER_LEASE - sentAt;
    if (dueMs > 0) return { againMs: dueMs };
    try {
      const sentMs = bootMs();
      const call = { params: { node }, signal };
      const { leaseMs, floating = [] } = await api.call("renewLease", call);
      this.heard(sentMs, sentAt);
      onFloating(floating);
      this.#leaseMs = leaseMs;
      return { againMs: this.#leaseMs / RENEWALS_PER_LEASE };
    } catch (error) {
      signal.throwIfAborted();
      // Not known any more (a restored store): the report joins the node again.
      if (asProtocolError(error).code === "not_found") this.#sent = undefined;
      this.#look.wake();
      return { againMs: Math.min(RETRY_MS, this.#leaseMs / RENEWALS_PER_LEASE) };
    }
  }

  async #reportIfNew(signal: AbortSignal): Promise<void> {
    const { clock, status, isJoined } = this.#options;
    if (!isJoined()) return;
    const isOld = clock.monotonic() - (this.#sent?.at ?? 0) >= REPORT_PERIOD_MS;
    if (this.#sent !== undefined && !isOld && textOf(await status(signal)) === this.#sent.text)
      return;
    await this.report(signal);
  }
}

/** What makes a report new: free space changes all the time and is sent with the next one. */
function textOf({ reportedAt: _at, diskFreeBytes: _free, ...rest }: NodeStatus): string {
  return JSON.stringify(rest);
}
