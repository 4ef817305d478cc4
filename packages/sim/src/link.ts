/**
 * The line between a client (an agent, a user) and the server: delays, losses, and cuts in which nothing
 * arrives and nobody is told.
 *
 * A cut shows itself as it does on a real line: calls end after the client's patience, streams after the
 * silence that a client takes for death. What was on its way when the line is mended in time still arrives.
 */

import { type CancelTimer, type Clock, type Prng, sleep } from "@berth/base";
import { ProtocolError } from "@berth/protocol";

export interface LinkFaults {
  /** Each way takes up to this long, milliseconds. */
  readonly latencyMsMax: number;
  /** A request does not arrive. */
  readonly lostRequestChance: number;
  /** A reply does not arrive; what was asked was done. */
  readonly lostReplyChance: number;
  /** A stream breaks before its next piece. */
  readonly brokenStreamChance: number;
  /** A request arrives a second time, later: after others that were sent after it. So do lost ones, at times. */
  readonly strayChance: number;
}

/** Where nothing gets through: from the client to the server, back, or both. */
export type CutDirection = "both" | "up" | "down";

export const CLEAN_LINK: LinkFaults = {
  latencyMsMax: 2,
  lostRequestChance: 0,
  lostReplyChance: 0,
  brokenStreamChance: 0,
  strayChance: 0,
};

/** A call without an answer is given up after this. */
const PATIENCE_MS = 5_000;
/** A copy of a request is under way for up to this long: other calls overtake it. */
const STRAY_MS_MAX = 15_000;
/** A stream that says nothing for this long is taken for dead. */
const SILENCE_MS = 10_000;

export class Link {
  faults: LinkFaults = CLEAN_LINK;
  readonly #clock: Clock;
  readonly #prng: Prng;
  /** Present while the line is cut; `mended` resolves with its end, `silent` when streams give up. */
  #cut:
    | {
        readonly direction: CutDirection;
        readonly mended: PromiseWithResolvers<void>;
        readonly cancel: CancelTimer;
      }
    | undefined;
  #silence = new AbortController();

  constructor(clock: Clock, prng: Prng) {
    this.#clock = clock;
    this.#prng = prng;
  }

  get isCut(): boolean {
    return this.#cut !== undefined;
  }

  /** Aborts when a cut has lasted for so long that streams are given up. */
  get silence(): AbortSignal {
    return this.#silence.signal;
  }

  /** One way only: what is asked is done and nobody is told (`down`), or what is told is heard and no answer comes. */
  cut(direction: CutDirection = "both"): void {
    if (this.#cut !== undefined) return;
    const silence = this.#silence;
    // Without a word of the client the server ends a stream, too.
    const cancel = this.#clock.setTimer(SILENCE_MS, () => silence.abort(unreachable("silence")));
    this.#cut = { direction, mended: Promise.withResolvers(), cancel };
  }

  mend(): void {
    const cut = this.#cut;
    if (cut === undefined) return;
    cut.cancel();
    this.#cut = undefined;
    if (this.#silence.signal.aborted) this.#silence = new AbortController();
    cut.mended.resolve();
  }

  /** A request on its way. `clock` is the client's; `deliver` brings a copy of it to the server. */
  async request(clock: Clock, signal: AbortSignal | undefined, deliver: () => void): Promise<void> {
    const { strayChance, lostRequestChance } = this.faults;
    if (this.#prng.chance(strayChance)) this.#later(deliver);
    await this.#pass("up", clock, signal);
    if (!this.#prng.chance(lostRequestChance)) return;
    if (strayChance > 0 && this.#prng.chance(0.5)) this.#later(deliver);
    await this.#lose(clock, signal);
  }

  /** A reply on its way. */
  async reply(clock: Clock, signal: AbortSignal | undefined): Promise<void> {
    await this.#pass("down", clock, signal);
    if (this.#prng.chance(this.faults.lostReplyChance)) await this.#lose(clock, signal);
  }

  /** A piece of a stream on its way. */
  async piece(clock: Clock): Promise<void> {
    if (this.#prng.chance(this.faults.brokenStreamChance)) throw unreachable("reset");
    if (this.#cut !== undefined && this.#cut.direction !== "up") await this.#cut.mended.promise;
    const delayMs = this.#prng.float() * this.faults.latencyMsMax;
    if (delayMs > 0) await sleep(clock, delayMs);
  }

  /** The network's own: it arrives although the client may have died meanwhile. */
  #later(deliver: () => void): void {
    this.#clock.setTimer(this.#prng.float() * STRAY_MS_MAX, () => {
      if (this.#cut === undefined || this.#cut.direction === "down") deliver();
    });
  }

  async #pass(way: "up" | "down", clock: Clock, signal: AbortSignal | undefined): Promise<void> {
    const direction = this.#cut?.direction;
    if (direction === "both" || direction === way) await this.#lose(clock, signal);
    await sleep(clock, this.#prng.float() * this.faults.latencyMsMax, signal);
  }

  async #lose(clock: Clock, signal: AbortSignal | undefined): Promise<never> {
    await sleep(clock, PATIENCE_MS, signal);
    throw unreachable("timeout");
  }
}

/** What a client says when it got no answer: nothing is known of a write. */
export function unreachable(reason: string): ProtocolError {
  return new ProtocolError("unavailable", "the server cannot be reached", { reason });
}
