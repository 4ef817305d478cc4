/**
 * A second table with the same drops, which belongs to a process of ours: the kernel keeps it from everybody
 * else, also from `nft flush ruleset`. It closes the gap between a flush by somebody else and the moment at
 * which the lasting table is loaded again; empty chains for translation keep open connections translated.
 *
 * The table ends with its process, which ends with ours, so it can never outlive what it says: the lasting
 * table is the one that counts, this one only repeats it. Where the kernel or nft does not know such tables
 * (before 5.12, 0.9.9), the gap is the time of one repair.
 */

import type { Clock, Logger } from "@berth/base";
import { NftSession } from "../nft-session.ts";

export interface GuardOptions {
  readonly nftProgram: string;
  readonly clock: Clock;
  readonly log: Logger;
  /** Where the table's text is handed over; replaced with each change. */
  readonly file: string;
}

/** What the table holds: sets and chains as lines, without the table's own. */
export interface GuardText {
  readonly table: string;
  readonly version: string;
  readonly body: readonly string[];
}

/** After this many refusals in a row it is not tried again: the kernel does not know such tables. */
const REFUSALS_MAX = 3;

/** Outside of the lasting table's priority, so that both are looked at. */
const ANCHORS = [
  "chain translate_in {",
  "  type nat hook prerouting priority -102; policy accept;",
  "}",
  "chain translate_out {",
  "  type nat hook postrouting priority 98; policy accept;",
  "}",
];

export class FirewallGuard {
  readonly #log: Logger;
  readonly #nft: NftSession;
  #held: string | undefined;
  #refusals = 0;

  constructor(options: GuardOptions) {
    this.#log = options.log;
    this.#nft = new NftSession(options);
  }

  /** The version that the kernel holds under our protection. */
  get held(): string | undefined {
    return this.#nft.isOpen ? this.#held : undefined;
  }

  /** Brings the table to `text`; a guard that cannot be had is told once and left out. */
  async hold(text: GuardText): Promise<void> {
    if (this.held === text.version || this.#refusals >= REFUSALS_MAX) return;
    const result = await this.#nft.apply(guardTable(`${text.table}_guard`, text));
    if (result.kind === "done") {
      this.#held = text.version;
      this.#refusals = 0;
      return;
    }
    this.#refusals++;
    const said = result.kind === "refused" ? result.detail : "nft is missing";
    this.#log.warn("the firewall has no guard", { said });
    this.close();
  }

  /** Ends the process, and the table with it. */
  close(): void {
    this.#nft.close();
    this.#held = undefined;
  }
}

function guardTable(name: string, { version, body }: GuardText): string {
  const block = ["flags owner", `chain version_${version} {`, "}", ...body, ...ANCHORS];
  return [
    `table inet ${name} { flags owner; }`,
    `delete table inet ${name}`,
    `table inet ${name} {`,
    ...block.map((line) => `  ${line}`),
    "}",
    "",
  ].join("\n");
}
