/**
 * Takes in what the server tells about others: services declared on the networks that this node carries,
 * tasks of other nodes there, and how those nodes are reached.
 *
 * Names follow at once, the disk after: what is lost with the process is told again, and what is on disk
 * serves a start without the server. Nothing is dropped on the word of a store that is not trusted in full
 * (trust.ts). Changes of one moment are written together.
 */

import type { Driver, Loop } from "@berth/base";
import type {
  DeclaredService,
  NetworkNeighbor,
  NetworkPeer,
  WatchEvent,
  WatchKind,
} from "@berth/protocol";
import type { AgentState } from "../state/agent-state.ts";

export interface DirectoryIntakeOptions {
  readonly state: AgentState;
  readonly driver: Driver;
  /** What the server does not know may be dropped. */
  readonly isTrusted: () => boolean;
  /** `copiesOnly`: services and nodes are as they were. */
  readonly onChanged: (what: { readonly copiesOnly: boolean }) => void;
}

const KINDS = ["service", "attachment", "peer"] as const;
type DirectoryKind = (typeof KINDS)[number];

/** The kinds that this intake takes. */
export function isOfDirectory(kind: WatchKind): kind is DirectoryKind {
  return (KINDS as readonly WatchKind[]).includes(kind);
}

export class DirectoryIntake {
  readonly #options: DirectoryIntakeOptions;
  readonly #loop: Loop;
  /** Keys that were told since the stream began, until its list is complete. */
  #seen = nothingSeen();
  readonly #changes: Record<DirectoryKind, Map<string, unknown>> = {
    service: new Map(),
    attachment: new Map(),
    peer: new Map(),
  };

  constructor(options: DirectoryIntakeOptions) {
    this.#options = options;
    this.#loop = options.driver.add({
      name: "directory",
      purpose:
        "Follows services and copies of others, and other nodes, on the networks of this node.",
      run: () => this.#applyChanges(),
    });
  }

  /** A stream begins: with or without a position, everything that exists will be told. */
  begin(): void {
    this.#seen = nothingSeen();
  }

  put(kind: DirectoryKind, { key, value }: Extract<WatchEvent, { type: "put" }>): void {
    this.#seen[kind].add(key);
    this.#change(kind, key, value);
  }

  delete(kind: DirectoryKind, key: string): void {
    this.#seen[kind].delete(key);
    this.#change(kind, key, undefined);
  }

  /** Of `kinds` everything was told: what is known besides is gone. */
  listed(kinds: readonly WatchKind[] = KINDS): void {
    if (!this.#options.isTrusted()) return;
    const { services, neighbors, peers } = this.#options.state;
    const known = { service: services, attachment: neighbors, peer: peers };
    for (const kind of KINDS) {
      if (!kinds.includes(kind)) continue;
      for (const key of known[kind].keys()) {
        if (!this.#seen[kind].has(key)) this.#change(kind, key, undefined);
      }
    }
  }

  #change(kind: DirectoryKind, key: string, value: unknown): void {
    this.#changes[kind].set(key, value);
    this.#loop.wake();
  }

  async #applyChanges(): Promise<void> {
    const { state, onChanged } = this.#options;
    const services = taken<DeclaredService>(this.#changes.service);
    const neighbors = taken<NetworkNeighbor>(this.#changes.attachment);
    const peers = taken<NetworkPeer>(this.#changes.peer);
    if (services.count + neighbors.count + peers.count === 0) return;
    const written = [
      state.putServices(services.put, services.gone),
      state.putNeighbors(neighbors.put, neighbors.gone),
      state.putPeers(peers.put, peers.gone),
    ];
    onChanged({ copiesOnly: services.count + peers.count === 0 });
    await Promise.all(written);
  }
}

function nothingSeen(): Record<DirectoryKind, Set<string>> {
  return { service: new Set(), attachment: new Set(), peer: new Set() };
}

interface Taken<T> {
  readonly put: ReadonlyMap<string, T>;
  readonly gone: readonly string[];
  readonly count: number;
}

/** The server's word is parsed by the client's schema as an event; its value is the kind's. */
function taken<T>(changes: Map<string, unknown>): Taken<T> {
  const put = new Map<string, T>();
  const gone: string[] = [];
  for (const [key, value] of changes) {
    if (value === undefined) gone.push(key);
    else put.set(key, value as T);
  }
  const count = changes.size;
  changes.clear();
  return { put, gone, count };
}
