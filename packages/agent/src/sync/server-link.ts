/**
 * The link to the server: joins, watches, takes up a broken stream where it ended, lists again when that
 * is refused. Nothing on the node depends on it being there.
 *
 * Order at each connection: the node's report (which names the cluster and gives the lease) → the stream.
 */

import { backoffMs, type Driver, type Logger, type LoopResult, type Prng } from "@berth/base";
import {
  type ApiClient,
  asProtocolError,
  type DialRequest,
  PROTOCOL_SERVER_ADDRESSES,
  ProtocolError,
  type ServerAddress,
  type WatchEvent,
} from "@berth/protocol";
import { type DirectoryIntake, isOfDirectory } from "./directory-intake.ts";
import type { ToldIntake } from "./told-intake.ts";

/** Pauses between connections: a server that restarts is back within seconds, and many agents come back. */
const RECONNECT = { initialMs: 100, maxMs: 3_000, jitter: 0.5 } as const;

export interface ServerLinkOptions {
  readonly api: Pick<ApiClient, "call">;
  readonly node: string;
  readonly driver: Driver;
  readonly log: Logger;
  readonly prng: Prng;
  readonly intake: ToldIntake;
  readonly directory: DirectoryIntake;
  /** Reports the node and answers its cluster; throws when there is no contact. */
  readonly join: (signal: AbortSignal) => Promise<string>;
  /** The cluster that this agent belongs to, once known. */
  readonly pinned: () => string | undefined;
  readonly pin: (cluster: string) => Promise<void>;
  readonly onDial: (dial: DialRequest) => void;
  /** A certificate of the cluster is there, is another, or is gone. */
  readonly onCertificate: () => void;
  /** Newest protocol of the server that the report went to. */
  readonly protocol: () => number;
  /** Servers of the cluster and where they are, all of them, as often as that changes. */
  readonly onServers: (servers: readonly ServerAddress[]) => void;
  /** Contact is there, or was lost. */
  readonly onContact: (isUp: boolean, problem?: string) => void;
}

export class ServerLink {
  readonly #options: ServerLinkOptions;
  #position: string | undefined;
  #failures = 0;
  /** By key; those of a list are told when it is complete. */
  readonly #servers = new Map<string, ServerAddress>();
  #isListing = false;
  #asksForServers = false;
  /** Ends the present connection. */
  #connection = new AbortController();

  constructor(options: ServerLinkOptions) {
    this.#options = options;
    options.driver.add({
      name: "server-link",
      purpose: "Follows what the server wants of this node.",
      run: (signal) => this.#run(signal),
    });
  }

  /** Everything has to be told anew, by a connection that begins now. */
  relist(): void {
    this.#position = undefined;
    const message = "what a server tells has to be listed anew";
    this.#connection.abort(new ProtocolError("unavailable", message));
  }

  async #run(signal: AbortSignal): Promise<LoopResult> {
    const { log, onContact, prng } = this.#options;
    this.#connection = new AbortController();
    const connected = AbortSignal.any([signal, this.#connection.signal]);
    try {
      await this.#join(connected);
      await this.#follow(connected);
    } catch (error) {
      signal.throwIfAborted();
      const { code, message, details } = asProtocolError(error);
      onContact(false, message);
      if (code === "position_gone") this.#position = undefined;
      if (code === "node_removed" && details["removed"] === true) await this.#dismissed(message);
      if (this.#failures === 0) log.warn("no contact with the server", { error });
    }
    this.#failures++;
    return { againMs: backoffMs(this.#failures, RECONNECT, prng) };
  }

  async #dismissed(message: string): Promise<void> {
    const { intake, log } = this.#options;
    if (this.#failures === 0) log.error("this node was removed: what it ran ends", { message });
    this.#position = undefined;
    await intake.dismissed();
  }

  async #join(signal: AbortSignal): Promise<void> {
    const { join, pinned, pin } = this.#options;
    const cluster = await join(signal);
    const known = pinned();
    if (known === undefined) return await pin(cluster);
    if (known === cluster) return;
    const message = `this node belongs to cluster ${known}, the server to ${cluster}`;
    throw new ProtocolError("foreign_cluster", message, { pinned: known, told: cluster });
  }

  async #follow(signal: AbortSignal): Promise<void> {
    const { api, node, intake, directory, onContact } = this.#options;
    const { protocol } = this.#options;
    const addresses = protocol() >= PROTOCOL_SERVER_ADDRESSES;
    // From a position only changes would be told, of addresses that were never listed: the server was an older one.
    if (addresses && !this.#asksForServers) this.#position = undefined;
    this.#asksForServers = addresses;
    const selectors = [
      { kind: "assignment" as const, node },
      { kind: "operation" as const, node },
      { kind: "network" as const },
      { kind: "certificate" as const },
      { kind: "service" as const, node },
      { kind: "attachment" as const, node },
      { kind: "peer" as const, node },
      ...(addresses ? [{ kind: "server-address" as const }] : []),
    ];
    const position = this.#position;
    if (position === undefined) {
      intake.beginList();
      this.#servers.clear();
      this.#isListing = true;
    }
    directory.begin();
    const body = position === undefined ? { selectors } : { selectors, position };
    const events = await api.call("watch", { params: {}, body, signal });
    onContact(true);
    this.#failures = 0;
    for await (const event of events) {
      await this.#take(event as WatchEvent);
      signal.throwIfAborted();
    }
    onContact(false, "the server closed the stream");
  }

  #tellServers(): void {
    if (!this.#isListing) this.#options.onServers([...this.#servers.values()]);
  }

  async #take(event: WatchEvent): Promise<void> {
    const { intake, directory, onDial, onCertificate, log } = this.#options;
    if ((event.type === "put" || event.type === "delete") && event.kind === "certificate") {
      return onCertificate();
    }
    if ((event.type === "put" || event.type === "delete") && event.kind === "server-address") {
      if (event.type === "delete") this.#servers.delete(event.key);
      else this.#servers.set(event.key, event.value as ServerAddress);
      return this.#tellServers();
    }
    switch (event.type) {
      case "put":
        if (isOfDirectory(event.kind)) return directory.put(event.kind, event);
        return intake.put(event);
      case "delete":
        if (isOfDirectory(event.kind)) return directory.delete(event.kind, event.key);
        return intake.delete(event.key);
      case "synced":
        await intake.synced(event.position);
        directory.listed();
        this.#position = event.position;
        this.#isListing = false;
        this.#tellServers();
        return;
      case "listed":
        return directory.listed(event.kinds);
      case "bookmark":
        this.#position = event.position;
        return;
      case "heartbeat":
        return;
      case "resync":
        log.info("the server asks to list again", { reason: event.reason });
        this.#position = undefined;
        throw new ProtocolError("position_gone", event.reason);
      case "dial":
        return onDial(event.dial);
    }
  }
}
