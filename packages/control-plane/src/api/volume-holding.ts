/**
 * A volume that is held for as long as one request goes on: backups and restores.
 *
 * The hold says until when it is good and is renewed meanwhile; a server that dies leaves one that runs out, and the
 * volume controller undoes it. A hold that was lost ends the request: somebody else may use the volume by then.
 * Design page: docs/design/volumes.md
 */

import { type CancelTimer, MINUTE_MS, SECOND_MS } from "@berth/base";
import {
  keys,
  ProtocolError,
  type StackScope,
  type Volume,
  type VolumeHold,
} from "@berth/protocol";
import { accept, type Decision, refuse, unchangedSince } from "../release/refusal.ts";
import { holdable, usersOf } from "../release/volume-moves.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { encode } from "../state/decode.ts";
import { commitDecision } from "./commit.ts";
import type { ApiContext } from "./handler.ts";

/** A server that is started again has forgotten the request: so long its volume stays held. */
export const HOLD_MS = MINUTE_MS;
const RENEW_MS = 20 * SECOND_MS;
/** Copies stop within their drain and grace periods. */
export const USERS_STOP_MS_MAX = 5 * MINUTE_MS;

export interface HoldWish {
  readonly scope: StackScope;
  readonly name: string;
  readonly kind: "backup" | "restore";
  readonly signal: AbortSignal;
}

type Change = (volume: Volume, hold: VolumeHold) => Volume;

export class HeldVolume {
  readonly #context: ApiContext;
  readonly #wish: HoldWish;
  readonly #id: string;
  readonly #lost = new AbortController();
  #renewal: CancelTimer = () => {};
  #isOver = false;

  private constructor(context: ApiContext, wish: HoldWish) {
    this.#context = context;
    this.#wish = wish;
    this.#id = context.newId();
  }

  /**
   * Holds the volume, and resolves when nobody uses it any more.
   *
   * @throws ProtocolError `conflict`, `not_found` ... when it cannot be held, `timed_out` when a copy does not stop.
   */
  static async take(context: ApiContext, wish: HoldWish): Promise<HeldVolume> {
    const held = new HeldVolume(context, wish);
    await held.#commit((view) => held.#begin(view), wish.signal);
    held.#renewLater();
    try {
      await held.#usersGone();
      await held.change((volume, hold) => ({ ...volume, hold: { ...hold, phase: "copying" } }));
    } catch (error) {
      await held.fail(error);
      throw error;
    }
    return held;
  }

  /** Aborts when the request does, or the hold is lost. */
  get signal(): AbortSignal {
    return AbortSignal.any([this.#wish.signal, this.#lost.signal]);
  }

  get volume(): Volume {
    const { scope, name } = this.#wish;
    const found = this.#context.state.view.volumes.get(keys.volume(scope, name))?.value;
    if (found === undefined) throw lost(name);
    return found;
  }

  /** Writes the row, if it is still held by this request. */
  async change(change: Change, signal = this.signal): Promise<void> {
    await this.#commit((view) => this.#changed(view, change), signal);
  }

  /** It is done: the volume is free, or what is left over is being removed. Call `done` or `fail` once. */
  async done(change: Change = withoutHold): Promise<void> {
    await this.#end((volume, hold) => ({
      ...change(volume, hold),
      last: { id: hold.id, kind: hold.kind, state: "done", at: this.#context.clock.now() },
    }));
  }

  /** It failed: the volume is as it was; a copy that was begun is removed. */
  async fail(error: unknown): Promise<void> {
    const now = this.#context.clock.now();
    const reason = error instanceof Error ? error.message : String(error);
    await this.#end((volume, hold) => {
      const last = { id: hold.id, kind: hold.kind, state: "failed", reason, at: now } as const;
      const { copy: made, until: _over, ...rest } = hold;
      if (made === undefined || volume.node === undefined) {
        return { ...withoutHold(volume), last };
      }
      const leftover = { node: volume.node, engineName: made };
      const undoing: VolumeHold = { ...rest, phase: "undoing", changedAt: now, leftover, reason };
      return { ...volume, last, hold: undoing };
    });
  }

  async #end(change: Change): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#renewal();
    try {
      // Also after the request was given up.
      await this.change(change, new AbortController().signal);
    } catch (error) {
      const { name } = this.#wish;
      this.#context.log.warn("a volume could not be freed: its hold runs out", { name, error });
    }
  }

  #renewLater(): void {
    const { clock } = this.#context;
    this.#renewal = clock.setTimer(RENEW_MS, () => {
      const until = clock.now() + HOLD_MS;
      this.change((volume, hold) => ({ ...volume, hold: { ...hold, until } })).then(
        () => this.#isOver || this.#renewLater(),
        (error: unknown) => this.#lost.abort(error),
      );
    });
  }

  async #usersGone(): Promise<void> {
    const { state, clock } = this.#context;
    const { scope, name } = this.#wish;
    const late = new AbortController();
    const cancel = clock.setTimer(USERS_STOP_MS_MAX, () => {
      const details = { deadlineMs: USERS_STOP_MS_MAX };
      late.abort(new ProtocolError("timed_out", `users of volume ${name} did not stop`, details));
    });
    const signal = AbortSignal.any([this.signal, late.signal]);
    try {
      for (;;) {
        const found = state.view.volumes.get(keys.volume(scope, name));
        if (found === undefined) throw lost(name);
        if (usersOf(state.view, found).length === 0) return;
        await state.waitFor(state.revision + 1, signal);
      }
    } finally {
      cancel();
    }
  }

  #begin(view: ClusterView): Decision<undefined> {
    const { scope, name, kind } = this.#wish;
    const found = holdable(view, scope, name);
    if ("kind" in found) return found;
    const { key, revision, value: volume } = found;
    const { node } = volume;
    if (node === undefined) {
      return refuse("conflict", `volume ${name} has no home yet: deploy its stack first`);
    }
    if (view.nodes.get(keys.node(node))?.value.contact !== "up") {
      return refuse("node_unreachable", `node ${node} is not in contact`, { node });
    }
    const now = this.#context.clock.now();
    const times = { startedAt: now, changedAt: now, until: now + HOLD_MS };
    const hold: VolumeHold = { id: this.#id, kind, phase: "stopping", ...times };
    const put = { kind: "put", key, value: encode({ ...volume, hold }) } as const;
    return accept(undefined, [unchangedSince(key, revision)], [put]);
  }

  #changed(view: ClusterView, change: Change): Decision<undefined> {
    const { scope, name } = this.#wish;
    const key = keys.volume(scope, name);
    const found = view.volumes.get(key);
    const hold = found?.value.hold;
    const isOurs = hold?.id === this.#id && hold.phase !== "undoing" && hold.phase !== "cleaning";
    if (found === undefined || hold === undefined || !isOurs) throw lost(name);
    const put = { kind: "put", key, value: encode(change(found.value, hold)) } as const;
    return accept(undefined, [unchangedSince(key, found.revision)], [put]);
  }

  async #commit(
    decide: (view: ClusterView) => Decision<undefined>,
    signal: AbortSignal,
  ): Promise<void> {
    const request = { ifMatch: undefined, idempotency: undefined, signal };
    await commitDecision(this.#context, request, { route: "backupVolume" }, decide);
  }
}

function withoutHold({ hold: _over, ...volume }: Volume): Volume {
  return volume;
}

function lost(name: string): ProtocolError {
  return new ProtocolError("conflict", `volume ${name} is not held by this request any more`);
}
