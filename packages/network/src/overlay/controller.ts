/**
 * Keeps the ways to other nodes in the kernel: only differences are sent; whoever changes something by hand
 * finds it repaired with the next look. A thin shell around `ip` and `bridge`.
 *
 * A network whose bridge is not there has no way: the agent tells of it again when the bridge has come.
 * Design page: docs/design/network-hosts.md
 */

import { existsSync, writeFileSync } from "node:fs";
import type { Clock, Driver, Logger, Loop } from "@berth/base";
import { ProtocolError } from "@berth/protocol/errors";
import { interfaceIdentity, interfaceNames } from "../interfaces.ts";
import { listRows, type Row, runBatch } from "../link-tool.ts";
import type { NetProblem } from "../report.ts";
import { type OverlayCommands, overlayCommands } from "./changes.ts";
import { type SeenOverlays, seenOverlays } from "./seen.ts";
import {
  NO_OVERLAYS,
  type OverlayInput,
  type OverlayState,
  overlayState,
  type SpanningNetwork,
  spanningNetworks,
} from "./wanted.ts";

export interface OverlayControllerOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly driver: Driver;
  /** `ip` and `bridge`, found by PATH unless a test has others. */
  readonly ipProgram?: string;
  readonly bridgeProgram?: string;
}

/** How long a change by somebody else can keep nodes apart; a look is four programs, some milliseconds each. */
const CHECK_PERIOD_MS = 4_000;
const LOOP_NAME = "overlay";

export class OverlayController {
  readonly #options: OverlayControllerOptions;
  readonly #loop: Loop;
  #input: OverlayInput | undefined;
  /** What the kernel has, as far as is known: after a failure nothing is. */
  #held: OverlayState | undefined;
  /** Of the bridges and interfaces that had it: another bridge of the same name has nothing. */
  #identity: string | undefined;
  #followed = 0;
  #queue: Promise<unknown> = Promise.resolve();
  #problem: NetProblem | undefined;
  #lonely: readonly NetProblem[] = [];
  #changes = 0;
  #repairs = 0;

  constructor(options: OverlayControllerOptions) {
    this.#options = options;
    this.#loop = options.driver.add({
      name: LOOP_NAME,
      purpose: "keeps the ways of networks to other nodes in the kernel",
      periodMs: CHECK_PERIOD_MS,
      run: () => this.#serially(() => this.#look()),
    });
  }

  /** When this resolves without a problem, frames find the nodes that `input` names, and no others. */
  async apply(input: OverlayInput): Promise<void> {
    this.#input = input;
    try {
      await this.#serially(() => this.#follow());
    } catch {
      this.#loop.wake();
    }
  }

  /** Generation of the model that is followed. */
  get followed(): number {
    return this.#followed;
  }

  problems(): readonly NetProblem[] {
    return this.#problem === undefined ? this.#lonely : [this.#problem, ...this.#lonely];
  }

  figures() {
    return {
      networks: this.#held?.links.size ?? 0,
      addresses: this.#held?.neighbors.size ?? 0,
      changes: this.#changes,
      repairs: this.#repairs,
    };
  }

  /** Stops looking after the interfaces; they stay, unless `remove`. */
  async close({ remove }: { readonly remove: boolean }): Promise<void> {
    await this.#options.driver.remove(LOOP_NAME);
    await this.#queue;
    if (!remove || this.#input === undefined) return;
    const seen = await this.#see(this.#input).catch(() => undefined);
    if (seen !== undefined) await this.#send(this.#input, seen, NO_OVERLAYS).catch(() => {});
  }

  #serially<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#queue.then(work, work);
    this.#queue = next.catch(() => {});
    return next;
  }

  async #follow(): Promise<void> {
    const input = this.#input;
    if (input === undefined) return;
    const usable = present(input);
    const wanted = overlayState(usable);
    const known = this.#held;
    const isKnown = known !== undefined && this.#identity === identityOf(known);
    const seen = isKnown ? asSeen(known, usable) : await this.#see(input);
    if (await this.#send(input, seen, wanted)) this.#changes++;
    this.#hold(wanted);
    this.#lonely = lonelyPeers(input);
    this.#problem = undefined;
    this.#followed = input.generation;
  }

  /** Is all still as it was left? Where no network spans hosts, there is nothing to look at. */
  async #look(): Promise<void> {
    const input = this.#input;
    if (input === undefined) return;
    const known = this.#held;
    if (known !== undefined && known.links.size + spanningNetworks(input).length > 0) {
      const seen = await this.#see(input);
      const wanted = overlayState(present(input));
      if (await this.#send(input, seen, wanted)) {
        this.#repairs++;
        this.#options.log.warn("the ways to other nodes had been changed, and are repaired");
      }
      this.#hold(wanted);
    }
    await this.#follow();
  }

  #hold(state: OverlayState): void {
    this.#held = state;
    this.#identity = identityOf(state);
  }

  async #see({ cluster, networks }: OverlayInput): Promise<SeenOverlays> {
    const ip = this.#options.ipProgram ?? "ip";
    const bridge = this.#options.bridgeProgram ?? "bridge";
    const [links, forwards, neighbors, bridgeRows] = await Promise.all([
      this.#list(ip, ["-j", "-d", "link", "show", "type", "vxlan"]),
      this.#list(bridge, ["-j", "fdb", "show"]),
      this.#list(ip, ["-j", "neigh", "show", "nud", "permanent"]),
      this.#list(ip, ["-j", "addr", "show", "type", "bridge"]),
    ]);
    const bridges = new Set(networks.map((network) => network.bridge));
    const listings = { links, forwards, neighbors, bridges: bridgeRows };
    return seenOverlays(listings, { clusterId: cluster.id, bridges });
  }

  async #list(file: string, args: readonly string[]): Promise<readonly Row[]> {
    const rows = await listRows(this.#options.clock, file, args);
    return typeof rows === "string" ? this.#fail(rows) : rows;
  }

  async #send(input: OverlayInput, seen: SeenOverlays, wanted: OverlayState): Promise<boolean> {
    const commands = overlayCommands(input.cluster.id, seen, wanted);
    const count = commands.links.length + commands.forwarding.length + commands.last.length;
    if (count === 0) return false;
    this.#held = undefined;
    announceChanges(commands);
    const { clock } = this.#options;
    for (const [file, lines] of [
      [this.#options.ipProgram ?? "ip", commands.links],
      [this.#options.bridgeProgram ?? "bridge", commands.forwarding],
      [this.#options.ipProgram ?? "ip", commands.last],
    ] as const) {
      const failure = await runBatch(clock, file, lines);
      if (failure !== undefined) this.#fail(failure);
    }
    return true;
  }

  #fail(detail: string): never {
    this.#problem = /not permitted/i.test(detail)
      ? { code: "not_permitted", id: "overlay", detail }
      : { code: "part_failed", part: "overlay", detail };
    throw new ProtocolError("unavailable", "ways to other nodes cannot be made", { detail });
  }
}

/** Containers that know the bridge by its old MAC address are told the new one by the kernel. */
function announceChanges({ renamed }: OverlayCommands): void {
  for (const bridge of renamed) {
    const file = `/proc/sys/net/ipv4/conf/${bridge}/arp_notify`;
    if (existsSync(file)) writeFileSync(file, "1");
  }
}

/** What can be followed now: networks whose bridge is there. */
function present(input: OverlayInput): OverlayInput {
  const names = interfaceNames();
  return { ...input, networks: input.networks.filter(({ bridge }) => names.has(bridge)) };
}

function identityOf({ links }: OverlayState): string | undefined {
  const names = [...links].flatMap(([name, { bridge }]) => [name, bridge]);
  return interfaceIdentity(names.sort());
}

/** A state of our own making, as if it had been listed: with bridges that are gone went what they had. */
function asSeen(state: OverlayState, { networks }: OverlayInput): SeenOverlays {
  const bridges = new Set(networks.map(({ bridge }) => bridge));
  const isThere = (key: string) => bridges.has(key.slice(0, key.indexOf(" ")));
  return {
    ...state,
    neighbors: new Map([...state.neighbors].filter(([key]) => isThere(key))),
    addresses: new Set([...state.addresses].filter(isThere)),
    orderly: new Set(state.links.keys()),
    macs: new Map([...state.links.values()].map(({ bridge, mac }) => [bridge, mac])),
    behind: new Set(state.forwards.keys()),
  };
}

/** Copies of nodes that are no peers: nobody knows where to send to. */
function lonelyPeers(input: OverlayInput): readonly NetProblem[] {
  const networks = new Map(spanningNetworks(input).map((network) => [network.id, network]));
  const lost = new Set<string>();
  for (const { networkId, node } of input.attachments) {
    const network = networks.get(networkId);
    if (network === undefined || node === undefined || isPeer(network, node)) continue;
    lost.add(`node ${node} has not told how to reach it for network ${network.name}`);
  }
  return [...lost].map((detail) => ({ code: "part_failed", part: "overlay", detail }));
}

function isPeer({ overlay }: SpanningNetwork, node: string): boolean {
  return overlay.peers.some((peer) => peer.node === node);
}
