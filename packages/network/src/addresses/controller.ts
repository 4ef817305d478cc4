/**
 * Keeps the table of service addresses and UDP ports in the kernel: only differences are sent, each model's
 * in one transaction; whoever flushed the table finds it loaded again.
 *
 * What the kernel has is known from what was sent, and checked by the chain that is named after the state
 * (cheap, often) and by the counts of rules (dear, seldom). A difference that the kernel refuses is sent once
 * more as the whole table. Design page: docs/design/network.md
 */

import type { Clock, Driver, Logger, Loop } from "@berth/base";
import { ProtocolError } from "@berth/protocol/errors";
import { interfaceIdentity, interfaceNames } from "../interfaces.ts";
import { type NftResult, type NftSession, nftProblem } from "../nft-session.ts";
import type { NetProblem } from "../report.ts";
import { allowLoopback, ensureBridgeFilter } from "./bridge-filter.ts";
import { BridgeNews } from "./bridge-news.ts";
import { ensureEnginePass, removeEnginePass } from "./engine-pass.ts";
import { FlowKeeper } from "./flow-keeper.ts";
import { guestRanges, type SpreadInput, spreadFrame, spreadState } from "./spread.ts";
import { readTable } from "./table-check.ts";
import {
  type TableFrame,
  type TableState,
  tableChanges,
  versionChain,
  wholeTable,
} from "./table-state.ts";
import { UdpHolds } from "./udp-holds.ts";

export interface AddressControllerOptions {
  readonly nft: NftSession;
  /** Named in problems. */
  readonly nftProgram: string;
  readonly conntrackProgram?: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly driver: Driver;
  /** `usable` has become another: names must answer accordingly. */
  readonly onUsable: () => void;
}

/** How long a flush by somebody else can keep new connections from their copies. */
const CHECK_PERIOD_MS = 4_000;
/** Of these looks one counts all rules: half a second of processor where there are 100,000. */
const CHECKS_PER_COUNT = 15;
/**
 * Of these looks one is at bridges that are still the same: nobody changes them by chance, and a listing of
 * all links is two programs.
 */
const CHECKS_PER_BRIDGE_LOOK = 4;
const LOOP_NAME = "service-addresses";

interface Held {
  readonly frame: TableFrame;
  readonly state: TableState;
}

export class AddressController {
  readonly #options: AddressControllerOptions;
  readonly #loop: Loop;
  readonly #flows: FlowKeeper;
  readonly #ports: UdpHolds;
  #input: SpreadInput | undefined;
  /** What the kernel has as far as is known. */
  #held: Held | undefined;
  /** Generation of the model that the kernel was last seen to follow. */
  #followed = 0;
  readonly #bridgeNews = new BridgeNews();
  #queue: Promise<unknown> = Promise.resolve();
  #rulesProblem: NetProblem | undefined;
  #bridgeProblem: NetProblem | undefined;
  #passProblem: NetProblem | undefined;
  /** Ranges that the engine lets pass. */
  #passKey = "";
  /** Bridges that were looked at last, as long as they are the same. */
  #bridgeIdentity: string | undefined;
  #looks = 0;
  #checks = 0;
  #loads = 0;
  #changes = 0;
  #lastChangeMs = 0;

  constructor(options: AddressControllerOptions) {
    this.#options = options;
    this.#flows = new FlowKeeper({
      ...options,
      conntrackProgram: options.conntrackProgram ?? "conntrack",
    });
    this.#ports = new UdpHolds();
    this.#loop = options.driver.add({
      name: LOOP_NAME,
      purpose: "keeps service addresses and UDP ports in the kernel",
      periodMs: CHECK_PERIOD_MS,
      run: () => this.#serially(() => this.#look()),
    });
  }

  /** When this resolves without a problem, new connections go to exactly the ready copies of `input`. */
  async apply(input: SpreadInput): Promise<void> {
    this.#input = input;
    try {
      await this.#serially(() => this.#follow());
    } catch {
      this.#loop.wake();
    }
  }

  /** Generation of the model by which new connections are spread. */
  get followed(): number {
    return this.#followed;
  }

  /** Without what bridges need, answers would not find back: names must answer the copies. */
  get usable(): boolean {
    return this.#bridgeProblem === undefined;
  }

  /** Somebody removed a table: looks at once. */
  look(): void {
    this.#loop.wake();
  }

  problems(): readonly NetProblem[] {
    const own = [this.#rulesProblem, this.#bridgeProblem, this.#passProblem].filter(
      (each) => each !== undefined,
    );
    return [...own, ...this.#ports.problems(), ...this.#flows.problems()];
  }

  figures() {
    const elements = this.#held?.state.elements;
    return {
      services: (elements?.get("services")?.size ?? 0) + (elements?.get("services6")?.size ?? 0),
      loads: this.#loads,
      changes: this.#changes,
      lastChangeMs: this.#lastChangeMs,
      flowsFlushed: this.#flows.flushed,
    };
  }

  async close(options: { readonly removeTable: boolean }): Promise<void> {
    await this.#options.driver.remove(LOOP_NAME);
    await this.#queue;
    await this.#flows.close();
    this.#ports.close();
    const cluster = this.#input?.cluster.id;
    if (!options.removeTable || cluster === undefined) return;
    const ranges = this.#input === undefined ? [] : guestRanges(this.#input);
    await removeEnginePass(this.#options, cluster, ranges);
    const { table } = spreadFrame(cluster);
    await this.#options.nft.apply(`table inet ${table} {}\ndelete table inet ${table}\n`);
  }

  #serially<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#queue.then(work, work);
    this.#queue = next.catch(() => {});
    return next;
  }

  async #follow(): Promise<void> {
    const input = this.#input;
    if (input === undefined) return;
    const udpPorts = await this.#ports.hold(input.udpPorts ?? []);
    const frame = spreadFrame(input.cluster.id);
    const state = spreadState({ ...input, udpPorts });
    const before = this.#held ?? (await this.#adopt({ frame, state }));
    const startedAt = this.#options.clock.monotonic();
    // The bridges first: an answer must find its way back from the first connection on.
    await this.#ensureBridges(input);
    const passKey = guestRanges(input).join(" ");
    if (passKey !== this.#passKey) await this.#passEngine(input);
    if (before === undefined) await this.#load({ frame, state }, "not known");
    else await this.#change(before, { frame, state });
    this.#held = { frame, state };
    this.#lastChangeMs = this.#options.clock.monotonic() - startedAt;
    this.#flows.follow(input.endpoints);
    this.#rulesProblem = undefined;
    this.#followed = input.generation;
  }

  /** A table of the same state may be there since an earlier life of `net`. */
  async #adopt(wanted: Held): Promise<Held | undefined> {
    return (await this.#isHeld(wanted)) ? wanted : undefined;
  }

  async #change(before: Held, after: Held): Promise<void> {
    const text = tableChanges(after.frame, before.state, after.state);
    if (text === "") return;
    this.#changes++;
    const result = await this.#options.nft.apply(text);
    if (result.kind === "done") return;
    this.#held = undefined;
    await this.#load(after, result.kind === "refused" ? result.detail : "nft is missing");
  }

  async #load({ frame, state }: Held, reason: string): Promise<void> {
    this.#loads++;
    const { log, nft } = this.#options;
    log.info("loading the table of service addresses", { table: frame.table, reason });
    const result = await nft.apply(wholeTable(frame, state));
    if (result.kind !== "done") this.#fail(result);
  }

  /** Once a copy has become ready or a bridge has come, its port may be a new one. */
  async #ensureBridges(input: SpreadInput): Promise<void> {
    const bridges = input.networks.map(({ bridge }) => bridge);
    if (input.udpPorts !== undefined && input.udpPorts.length > 0) allowLoopback(bridges);
    if (this.#bridgeNews.hasCome(input, interfaceNames)) await this.#lookAtBridges(input);
    else this.#bridgeNews.follow(input);
  }

  /** What an engine drops between its bridges although it may be. */
  async #passEngine(input: SpreadInput): Promise<void> {
    const ranges = guestRanges(input);
    const detail = await ensureEnginePass(this.#options, input.cluster.id, ranges);
    this.#passProblem =
      detail === undefined ? undefined : { code: "part_failed", part: "addresses", detail };
    this.#passKey = ranges.join(" ");
  }

  async #lookAtBridges(input: SpreadInput): Promise<void> {
    const present = interfaceNames();
    this.#bridgeIdentity = identityOf(input);
    const bridges = input.networks.map(({ bridge }) => bridge);
    const detail = await ensureBridgeFilter(this.#options, bridges);
    if (detail === undefined) this.#bridgeNews.settle(input, present);
    const wasUsable = this.usable;
    this.#bridgeProblem =
      detail === undefined ? undefined : { code: "part_failed", part: "addresses", detail };
    if (this.usable !== wasUsable) this.#options.onUsable();
  }

  #hasSameBridges(input: SpreadInput): boolean {
    return this.#bridgeIdentity !== undefined && this.#bridgeIdentity === identityOf(input);
  }

  /** Is all still as it was left? */
  async #look(): Promise<void> {
    const input = this.#input;
    if (input === undefined) return;
    if (this.#held !== undefined && !(await this.#isHeld(this.#held))) this.#held = undefined;
    const isTurn = this.#looks++ % CHECKS_PER_BRIDGE_LOOK === 0;
    if (isTurn || !this.usable || !this.#hasSameBridges(input)) await this.#lookAtBridges(input);
    await this.#passEngine(input);
    await this.#follow();
  }

  async #isHeld({ frame, state }: Held): Promise<boolean> {
    const counts = this.#checks++ % CHECKS_PER_COUNT === CHECKS_PER_COUNT - 1;
    const command = counts ? `list table inet ${frame.table}` : "list chains inet";
    const result = await this.#options.nft.list(command);
    if (result.kind === "missing") this.#fail(result);
    if (result.kind === "refused") return false;
    const found = readTable(result.stdout, frame.table);
    const chains = [versionChain(frame, state), ...state.chains.keys(), ...frame.baseChains.keys()];
    if (!chains.every((chain) => found.has(chain))) return false;
    return (
      !counts ||
      [...state.chains].every(([chain, rules]) => found.get(chain)?.rules === rules.length)
    );
  }

  #fail(result: Exclude<NftResult, { kind: "done" }>): never {
    this.#held = undefined;
    this.#rulesProblem = nftProblem("addresses", this.#options.nftProgram, result);
    const details = result.kind === "refused" ? { detail: result.detail } : {};
    throw new ProtocolError("unavailable", "the service addresses cannot be loaded", details);
  }
}

function identityOf({ networks }: SpreadInput): string | undefined {
  return interfaceIdentity(networks.map(({ bridge }) => bridge));
}
