/**
 * A second table with the same drops, which belongs to a process of ours: the kernel keeps it from everybody
 * else, also from `nft flush ruleset`. It closes the gap between a flush by somebody else and the moment at
 * which the lasting table is loaded again; empty chains for translation keep open connections translated.
 *
 * The table ends with its process, which ends with ours, so it can never outlive what it says: the lasting
 * table is the one that counts, this one only repeats it. Where the kernel or nft does not know such tables
 * (before 5.12, 0.9.9), the gap is the time of one repair.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { writeFileSync } from "node:fs";
import { type Clock, type Logger, sleep } from "@berth/base";

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

/** A change is there when nft lists it. */
const CONFIRM_TIMEOUT_MS = 2_000;
const CONFIRM_POLL_MS = 5;
/** Of what nft says, only the last listing is looked at. */
const OUTPUT_LENGTH_MAX = 4_096;
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
  readonly #options: GuardOptions;
  #child: ChildProcess | undefined;
  #output = "";
  #held: string | undefined;
  #refusals = 0;

  constructor(options: GuardOptions) {
    this.#options = options;
  }

  /** The version that the kernel holds under our protection. */
  get held(): string | undefined {
    return this.#child === undefined ? undefined : this.#held;
  }

  /** Brings the table to `text`; a guard that cannot be had is told once and left out. */
  async hold(text: GuardText): Promise<void> {
    if (this.held === text.version || this.#refusals >= REFUSALS_MAX) return;
    const child = this.#child ?? this.#start();
    const { table, version } = text;
    const name = `${table}_guard`;
    writeFileSync(this.#options.file, guardTable(name, text), { mode: 0o600 });
    this.#output = "";
    child.stdin?.write(`include "${this.#options.file}"\n`);
    child.stdin?.write(`list chain inet ${name} version_${version}\n`);
    if (await this.#confirmed(`chain version_${version}`)) {
      this.#held = version;
      this.#refusals = 0;
      return;
    }
    this.#refusals++;
    this.#options.log.warn("the firewall has no guard", { said: this.#output.slice(-200) });
    this.close();
  }

  /** Ends the process, and the table with it. */
  close(): void {
    this.#child?.kill("SIGKILL");
    this.#child = undefined;
    this.#held = undefined;
  }

  #start(): ChildProcess {
    const child = spawn(this.#options.nftProgram, ["-i"], { stdio: ["pipe", "pipe", "pipe"] });
    const listen = (chunk: string) => {
      this.#output = (this.#output + chunk).slice(-OUTPUT_LENGTH_MAX);
    };
    child.stdout.setEncoding("utf8").on("data", listen);
    child.stderr.setEncoding("utf8").on("data", listen);
    child.stdin.on("error", () => {});
    const gone = () => {
      if (this.#child === child) this.#child = undefined;
    };
    child.on("error", gone);
    child.on("exit", gone);
    child.unref();
    this.#child = child;
    return child;
  }

  async #confirmed(wanted: string): Promise<boolean> {
    const { clock } = this.#options;
    const deadline = clock.monotonic() + CONFIRM_TIMEOUT_MS;
    while (clock.monotonic() < deadline) {
      if (this.#output.includes(wanted)) return true;
      if (this.#child === undefined || this.#output.includes("Error")) return false;
      await sleep(clock, CONFIRM_POLL_MS);
    }
    return false;
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
