/**
 * Commits planned transactions and waits until the view shows them: the only writer of plans.
 *
 * Transactions of one plan are committed in order; the first that is overtaken ends the plan, because
 * later ones may build on it. A write whose outcome is unknown is resolved by looking: once the view has
 * caught up with the store, the next evaluation sees what is the case.
 */

import type { ClusterState } from "../state/cluster-state.ts";
import { StoreUnknownOutcome } from "../store/errors.ts";
import type { Store } from "../store/port.ts";
import type { InFlight } from "./in-flight.ts";
import type { PlannedTxn } from "./unit.ts";

/** `overtaken`: something that was read has changed; decide anew. */
export type CommitOutcome = "committed" | "overtaken";

export class Committer {
  readonly #store: Store;
  readonly #state: ClusterState;
  readonly #inFlight: InFlight;

  constructor(options: {
    readonly store: Store;
    readonly state: ClusterState;
    readonly inFlight: InFlight;
  }) {
    this.#store = options.store;
    this.#state = options.state;
    this.#inFlight = options.inFlight;
  }

  /** Commits in order and returns when the view shows what was committed. */
  async commit(txns: readonly PlannedTxn[], signal: AbortSignal): Promise<CommitOutcome> {
    // All of a plan is held from the beginning: others must not plan over what comes last in it.
    const landed = txns.map(({ tasks, subnets }) => this.#inFlight.add(tasks, subnets));
    let revision = 0;
    let outcome: CommitOutcome = "committed";
    try {
      for (const { txn } of txns) {
        const result = await this.#store.txn(txn, { signal });
        revision = result.revision;
        if (result.succeeded) continue;
        outcome = "overtaken";
        break;
      }
    } catch (error) {
      if (!(error instanceof StoreUnknownOutcome)) throw error;
      revision = await this.#store.currentRevision();
      outcome = "overtaken";
    } finally {
      if (!signal.aborted) await this.#state.waitFor(revision, signal);
      for (const land of landed) land();
    }
    return outcome;
  }
}
