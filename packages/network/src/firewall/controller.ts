/**
 * Keeps our nftables table in the kernel: loaded as one transaction, read back, loaded again when somebody
 * flushed it. A thin shell around `nft`; touches no table but ours.
 *
 * Design page: docs/design/network.md
 */

import type { Clock, Driver, Logger, Loop } from "@berth/base";
import { ProtocolError } from "@berth/protocol/errors";
import { type NftResult, type NftSession, nftProblem } from "../nft-session.ts";
import type { NetProblem } from "../report.ts";
import { FirewallGuard } from "./guard.ts";
import { tableMismatch } from "./read-back.ts";
import { type FirewallInput, type Ruleset, renderRuleset } from "./ruleset.ts";

export interface FirewallControllerOptions {
  readonly nft: NftSession;
  /** For the guard, and named in problems. */
  readonly nftProgram: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly driver: Driver;
  /** For the guard's text; in memory, as a full disk must not stop a change of rules. */
  readonly folder: string;
}

/** How long a flush by somebody else can leave the node open. */
const CHECK_PERIOD_MS = 4_000;
const LOOP_NAME = "firewall";

export class FirewallController {
  readonly #options: FirewallControllerOptions;
  readonly #loop: Loop;
  readonly #guard: FirewallGuard;
  #wanted: Ruleset | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #problem: NetProblem | undefined;
  /** Version that the kernel was last seen to hold. */
  #seen: string | undefined;
  #loads = 0;
  #repairs = 0;

  constructor(options: FirewallControllerOptions) {
    this.#options = options;
    this.#guard = new FirewallGuard({ ...options, file: `${options.folder}/guard.nft` });
    this.#loop = options.driver.add({
      name: LOOP_NAME,
      purpose: "keeps this cluster's firewall table in the kernel",
      periodMs: CHECK_PERIOD_MS,
      run: () => this.#serially(() => this.#reconcile()),
    });
  }

  /** When this resolves without a problem the kernel has been seen to hold exactly these rules. */
  async apply(input: FirewallInput): Promise<void> {
    this.#wanted = renderRuleset(input);
    // Most models change copies only: whether the rules are still there is the loop's business.
    if (this.#seen === this.#wanted.version) return;
    try {
      await this.#serially(() => this.#reconcile());
    } catch {
      this.#loop.wake();
    }
  }

  /** Somebody removed a table: looks at once. */
  look(): void {
    this.#loop.wake();
  }

  problems(): readonly NetProblem[] {
    return this.#problem === undefined ? [] : [this.#problem];
  }

  figures(): { readonly loads: number; readonly repairs: number; readonly guarded: boolean } {
    const guarded = this.#guard.held !== undefined && this.#guard.held === this.#wanted?.version;
    return { loads: this.#loads, repairs: this.#repairs, guarded };
  }

  /** Stops looking after the table; it stays, unless `removeTable`. */
  async close(options: { readonly removeTable: boolean }): Promise<void> {
    await this.#options.driver.remove(LOOP_NAME);
    await this.#queue;
    this.#guard.close();
    if (!options.removeTable || this.#wanted === undefined) return;
    const { table } = this.#wanted;
    await this.#options.nft.apply(`table inet ${table} {}\ndelete table inet ${table}\n`);
  }

  #serially<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#queue.then(work, work);
    this.#queue = next.catch(() => {});
    return next;
  }

  async #reconcile(): Promise<void> {
    const wanted = this.#wanted;
    if (wanted === undefined) return;
    const before = await this.#mismatch(wanted);
    if (before !== undefined) this.#seen = undefined;
    if (before !== undefined) {
      await this.#load(wanted, before);
      const after = await this.#mismatch(wanted);
      if (after !== undefined) {
        this.#fail({ kind: "refused", detail: `the table was loaded but ${after}` });
      }
    }
    this.#seen = wanted.version;
    this.#problem = undefined;
    await this.#guard.hold(wanted);
  }

  async #mismatch(wanted: Ruleset): Promise<string | undefined> {
    const result = await this.#options.nft.list(`list table inet ${wanted.table}`);
    if (result.kind === "missing") this.#fail(result);
    if (result.kind === "refused") return "there is no such table";
    try {
      return tableMismatch(JSON.parse(result.stdout), wanted);
    } catch {
      return "the listing is no JSON";
    }
  }

  async #load(wanted: Ruleset, reason: string): Promise<void> {
    this.#loads++;
    if (this.#problem === undefined && this.#loads > 1) this.#repairs++;
    this.#options.log.info("loading firewall table", { table: wanted.table, reason });
    const result = await this.#options.nft.apply(wanted.text);
    if (result.kind !== "done") this.#fail(result);
  }

  #fail(result: Exclude<NftResult, { kind: "done" }>): never {
    this.#problem = nftProblem("firewall", this.#options.nftProgram, result);
    const details = result.kind === "refused" ? { detail: result.detail } : {};
    throw new ProtocolError("unavailable", "the firewall table cannot be loaded", details);
  }
}
