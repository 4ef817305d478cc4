/** Forgets what is old enough, in small transactions, now and then. */

import { MINUTE_MS } from "@berth/base";
import { keys } from "@berth/protocol";
import { packUnits } from "../plan/unit.ts";
import { LIST_LIMIT_DEFAULT } from "../store/limits.ts";
import type { Operation } from "../store/port.ts";
import type { ControllerDeps } from "./deps.ts";
import { findGarbage } from "./garbage.ts";

/** Retentions are hours and days: more often would find nothing. */
const PERIOD_MS = 10 * MINUTE_MS;
/** Deletions of one transaction: leaves room beside the conditions. */
const DELETIONS_MAX = 100;
/** The store forgets history older than this many revisions: enough for a client's short absence. */
const REVISIONS_KEPT = 100_000;

/** Kinds that are not held in memory: their age is looked up in the store. */
const AGED = [
  { prefix: prefixOf(keys.audit("x")), age: "auditAgeMs" },
  { prefix: prefixOf(keys.idempotency("x")), age: "idempotencyAgeMs" },
] as const;

function prefixOf(key: string): string {
  return key.slice(0, key.lastIndexOf("/") + 1);
}

export class GarbageController {
  readonly #deps: ControllerDeps;

  constructor(deps: ControllerDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#deps.driver.add({
      name: "garbage",
      purpose: "forgets releases, deployments, events and records that are old enough",
      periodMs: PERIOD_MS,
      run: (signal) => this.#run(signal),
    });
  }

  stop(): Promise<void> {
    return this.#deps.driver.remove("garbage");
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { state, clock, settings, committer, leadership, store } = this.#deps;
    const units = findGarbage(state.view, clock.now(), settings);
    if (units.length > 0) await committer.commit(packUnits(units, leadership()), signal);
    for (const { prefix, age } of AGED) await this.#forgetAged(prefix, settings[age], signal);
    const compacted = (await store.currentRevision()) - REVISIONS_KEPT;
    if (compacted > 0) await store.compact(compacted);
  }

  /** Deletes rows under `prefix` whose `at` is older than `ageMs`. */
  async #forgetAged(prefix: string, ageMs: number, signal: AbortSignal): Promise<void> {
    const { store, clock, leadership } = this.#deps;
    let after: string | undefined;
    for (;;) {
      const limit = { limit: LIST_LIMIT_DEFAULT, signal };
      const page = await store.list(prefix, after === undefined ? limit : { ...limit, after });
      const old = page.entries.filter(({ value }) => timeOf(value) < clock.now() - ageMs);
      for (let index = 0; index < old.length; index += DELETIONS_MAX) {
        const then = old
          .slice(index, index + DELETIONS_MAX)
          .map(({ key }): Operation => ({ kind: "delete", key }));
        await store.txn({ compare: leadership(), then }, { signal });
      }
      after = page.entries.at(-1)?.key;
      if (!page.more || after === undefined) return;
    }
  }
}

/** When a record was made; one that does not say so stays. */
function timeOf(text: string): number {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "object" || value === null || !("at" in value)) return Number.MAX_VALUE;
    return typeof value.at === "number" ? value.at : Number.MAX_VALUE;
  } catch {
    return Number.MAX_VALUE;
  }
}
