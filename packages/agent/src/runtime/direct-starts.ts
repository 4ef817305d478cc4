/**
 * Starts containers whose networks the agent gives them itself, in a third of the engine's own time.
 *
 * Invariants: no program of a container runs before its networks are there; where that did not succeed, or
 * nobody knows whether it did, the container is removed before anybody looks at it. What cannot be done this
 * way, or was too late a moment ago, is left to the engine. Design page: docs/design/direct-start.md
 */

import { assertNever, backoffMs, type Clock, type Logger, MINUTE_MS, SECOND_MS } from "@berth/base";
import { hasInterface, madePortName } from "@berth/network/interfaces";
import { ProtocolError } from "@berth/protocol";
import { DirectConnector } from "./direct-connector.ts";
import { killProcesses, processesIn } from "./direct-init.ts";
import { DirectJournal } from "./direct-journal.ts";
import * as links from "./direct-links.ts";
import { learnPlace, type ProcessesPath } from "./direct-place.ts";
import {
  type Bridge,
  type DirectAttachment,
  type DirectLink,
  directObstacle,
  linkOf,
} from "./direct-plan.ts";
import type { ContainerRequest, StartOutcome } from "./port.ts";

/** What is needed of the engine. */
export interface DirectEngine {
  start(id: string, signal?: AbortSignal): Promise<void>;
  /** Nothing of it runs afterwards. */
  remove(id: string, signal?: AbortSignal): Promise<void>;
  /** The host's process of a running container; 0 for none. */
  pidOf(id: string): Promise<number>;
  /** @throws ProtocolError `not_found` */
  bridgeOf(cluster: string, networkId: string, signal?: AbortSignal): Promise<Bridge>;
  /** It runs containers with runc, as root. */
  isPlain(): Promise<boolean>;
  cgroupVersion(): Promise<"v1" | "v2">;
}

export interface DirectOptions {
  /** On a volatile disk: the journal of starts. */
  readonly folder: string;
  readonly log: Logger;
  /** Where a bundle has the module of `direct-thread.ts`. */
  readonly workerUrl?: URL;
}

export interface DirectContainer {
  readonly id: string;
  readonly cluster: string;
  readonly attachments: readonly DirectAttachment[];
}

/** After failures in a row the engine does it for a while: the machine is under pressure, or has changed. */
const PAUSE = { initialMs: SECOND_MS, maxMs: 10 * MINUTE_MS } as const;

export class DirectStarts {
  readonly #engine: DirectEngine;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #folder: string;
  readonly #cgroupRoot: string | undefined;
  readonly #journal: DirectJournal;
  readonly #connector: DirectConnector;
  readonly #bridges = new Map<string, Bridge>();
  #place: ProcessesPath | undefined;
  #learning: Promise<void> | undefined;
  #isImpossible = false;
  #pausedUntil = Number.NEGATIVE_INFINITY;
  #failures = 0;

  constructor(
    engine: DirectEngine,
    options: DirectOptions & { readonly clock: Clock; readonly cgroupRoot?: string },
  ) {
    this.#engine = engine;
    this.#clock = options.clock;
    this.#log = options.log;
    this.#folder = options.folder;
    this.#cgroupRoot = options.cgroupRoot;
    this.#journal = new DirectJournal(options.folder);
    this.#connector = new DirectConnector(options);
  }

  /** The engine's processes are found, and no failure is recent. */
  get isPossible(): boolean {
    return this.#place !== undefined && this.#clock.monotonic() >= this.#pausedUntil;
  }

  /** Whether the agent gives the container its networks. */
  takes(request: ContainerRequest): boolean {
    if (!this.isPossible || directObstacle(request) !== undefined) return false;
    // Its thread begins while the container is created.
    void this.#connector.begin();
    return true;
  }

  /** A container runs: it shows where the engine keeps processes, unless that is known. */
  learnFrom(id: string): void {
    if (this.#place !== undefined || this.#learning !== undefined || this.#isImpossible) return;
    this.#learning = this.#learn(id)
      .catch((error: unknown) => this.#log.info("starts are left to the engine", { error }))
      .finally(() => {
        this.#learning = undefined;
      });
  }

  /** The bridge stands, perhaps made anew: what belongs into it is put back. */
  async noteBridge(cluster: string, networkId: string, bridge: Bridge): Promise<void> {
    const key = `${cluster} ${networkId}`;
    const isAgain = this.#bridges.has(key);
    this.#bridges.set(key, bridge);
    // The first time in this life it is most likely new, and nobody waits for it.
    const rejoined = links.rejoin(bridge.name);
    if (isAgain) await rejoined;
    else rejoined.catch((error: unknown) => this.#log.warn("a bridge may lack members", { error }));
  }

  forgetBridge(cluster: string, networkId: string): void {
    this.#bridges.delete(`${cluster} ${networkId}`);
  }

  /** Living containers in a network that the engine knows nothing of. */
  async holdersIn(cluster: string, networkId: string, signal?: AbortSignal): Promise<string[]> {
    const bridge = await this.#bridgeOf(cluster, networkId, signal).catch(() => undefined);
    if (bridge === undefined) return [];
    return (await links.holdersIn(bridge.name)).filter((id) => this.#isAlive(id));
  }

  /** @throws ProtocolError `claim_taken` when another container of ours has one of the addresses. */
  async requireFree({ id, cluster, attachments }: DirectContainer): Promise<void> {
    for (const { networkId, address } of attachments) {
      const bridge = this.#bridges.get(`${cluster} ${networkId}`);
      if (bridge === undefined) continue;
      await this.#requireFree({ outside: madePortName(bridge.name, address), address }, id);
    }
  }

  /** Starts a container that was created without networks. */
  async start(container: DirectContainer, signal?: AbortSignal): Promise<StartOutcome> {
    const { id } = container;
    const wanted = await this.#linksOf(container, signal);
    if (await this.#runs(id, wanted)) return await this.#startAgain(id, signal);
    for (const link of wanted) await this.#requireFree(link, id);
    const processesPath = this.#place?.(id);
    // Created by an earlier agent; this one has seen no container run yet.
    if (processesPath === undefined) return await this.#undo(id, "its processes cannot be found");
    if (!(await this.#connector.begin())) return await this.#undo(id, "its thread did not begin");
    this.#journal.begin({ id, processesPath });
    const starting = this.#engine.start(id, signal);
    const work = { processesPath, links: wanted };
    const outcome = await this.#connector.connect(id, work, starting);
    switch (outcome.kind) {
      case "connected":
        await this.#awaitAnswer(id, starting);
        this.#journal.end(id);
        this.#failures = 0;
        return "started";
      case "failed":
        await starting.catch(() => {});
        return await this.#undo(id, outcome.reason);
      case "unseen":
        return await this.#finishUnseen(id, starting);
      default:
        return assertNever(outcome, "outcome");
    }
  }

  /** A container is removed: ends what an engine that lost its memory has left running of it. */
  endRest(id: string): void {
    if (this.#place !== undefined) killProcesses(this.#place(id));
  }

  /**
   * Removes containers of which nobody knows whether they have their networks: before every look at
   * containers, so that none is taken for one that runs well.
   */
  async settleDoubts(signal?: AbortSignal): Promise<void> {
    for (const { id, processesPath } of this.#journal.doubtful()) {
      killProcesses(processesPath);
      await this.#engine.remove(id, signal);
      this.#journal.end(id);
      this.#log.warn("removed a container whose start was not finished", { container: id });
    }
  }

  /** The start is over and its first process was never seen in time. */
  async #finishUnseen(id: string, starting: Promise<void>): Promise<StartOutcome> {
    await this.#awaitAnswer(id, starting);
    return await this.#undo(id, "its first process was not seen in time");
  }

  /** An engine that dies before it answers may not know, when it is back, that the container runs. */
  async #awaitAnswer(id: string, starting: Promise<void>): Promise<void> {
    try {
      await starting;
    } catch (error) {
      if (isAnswer(error)) this.#journal.end(id);
      else this.#journal.doubt(id);
      throw error;
    }
  }

  /** A start is repeated that came through, as far as processes and networks show. */
  async #startAgain(id: string, signal: AbortSignal | undefined): Promise<StartOutcome> {
    if ((await this.#engine.pidOf(id)) === 0) return await this.#undo(id, "its engine forgot it");
    await this.#engine.start(id, signal);
    return "started";
  }

  async #undo(id: string, why: string): Promise<StartOutcome> {
    this.#log.warn("a start is undone and left to the engine", { container: id, why });
    this.#failures++;
    this.#pausedUntil = this.#clock.monotonic() + backoffMs(this.#failures, PAUSE);
    try {
      await this.#engine.remove(id);
    } catch (failure) {
      this.#journal.doubt(id);
      throw failure;
    }
    this.endRest(id);
    this.#journal.end(id);
    return "undone";
  }

  async #learn(id: string): Promise<void> {
    const { cgroupVersion, isPlain, pidOf } = this.#engine;
    if (
      process.getuid?.() !== 0 ||
      !(await isPlain()) ||
      !(await links.hasPrograms(this.#folder))
    ) {
      this.#isImpossible = true;
      return;
    }
    const pid = await pidOf(id);
    const root = this.#cgroupRoot === undefined ? {} : { root: this.#cgroupRoot };
    this.#place = learnPlace(id, pid, { version: await cgroupVersion(), ...root });
  }

  async #linksOf(
    { cluster, attachments }: DirectContainer,
    signal: AbortSignal | undefined,
  ): Promise<DirectLink[]> {
    const wanted: DirectLink[] = [];
    for (const [index, attachment] of attachments.entries()) {
      const bridge = await this.#bridgeOf(cluster, attachment.networkId, signal);
      wanted.push(linkOf(attachment, bridge, index));
    }
    return wanted;
  }

  async #bridgeOf(cluster: string, networkId: string, signal?: AbortSignal): Promise<Bridge> {
    const key = `${cluster} ${networkId}`;
    const known = this.#bridges.get(key);
    if (known !== undefined && hasInterface(known.name)) return known;
    const bridge = await this.#engine.bridgeOf(cluster, networkId, signal);
    this.#bridges.set(key, bridge);
    return bridge;
  }

  /** A dead holder's interface goes with its namespace, which may take the kernel a moment. */
  async #requireFree(
    { outside, address }: { readonly outside: string; readonly address: string },
    id: string,
  ): Promise<void> {
    if (!hasInterface(outside)) return;
    const holder = await links.holderOf(outside);
    if (holder === undefined || holder === id || !this.#isAlive(holder)) {
      return await links.removeLink(outside);
    }
    throw new ProtocolError("claim_taken", `address ${address} is in use`, { address, holder });
  }

  /** A start is repeated that came through. */
  async #runs(id: string, wanted: readonly DirectLink[]): Promise<boolean> {
    if (this.#place === undefined || !this.#isAlive(id)) return false;
    const holders = await Promise.all(wanted.map(({ outside }) => links.holderOf(outside)));
    return holders.every((holder) => holder === id);
  }

  #isAlive(id: string): boolean {
    return this.#place === undefined || processesIn(this.#place(id)).length > 0;
  }
}

/** The engine said no: nothing of the start is under way. */
function isAnswer(error: unknown): boolean {
  return error instanceof ProtocolError && typeof error.details["status"] === "number";
}
