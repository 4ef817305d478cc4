/**
 * Which services, which tasks of other nodes and which of these nodes concern a node: those on the networks
 * that it carries, which are the networks of its own tasks and those whose routes it answers.
 *
 * Kept from the changes of the cluster, so that a changed readiness costs the nodes of its networks and
 * nobody else. A change of what a node carries shows or hides everything on that network to that node
 * alone. Cost: a status O(nodes of its networks); a release, or a network that comes or goes, O(services of
 * the stack, or of the environment); memory O(services + tasks). Design page: docs/design/watch.md.
 */

import {
  type Claim,
  type DeclaredService,
  keys,
  type NetworkNeighbor,
  type NetworkPeer,
  type NodeStatus,
  parseKey,
  type Stack,
  type StackScope,
  stackKey,
  type Task,
  type TaskStatus,
} from "@berth/protocol";
import { claimNameOf } from "../release/claims.ts";
import type { ClaimHolder } from "../state/claim-holder.ts";
import type { Change, ChangeBatch, ClusterState } from "../state/cluster-state.ts";
import { type ClusterView, environmentOf } from "../state/cluster-tables.ts";
import type { Entity } from "../state/entity-table.ts";
import { Carriers } from "./carriers.ts";
import { declaredServices, neighborOf, peerOf, sharesNetworks } from "./declared.ts";

export const DIRECTORY_KINDS = ["service", "attachment", "peer"] as const;
export type DirectoryKind = (typeof DIRECTORY_KINDS)[number];

/** Whether objects of `kind` are the directory's. */
export function isDirectoryKind(kind: string): kind is DirectoryKind {
  return (DIRECTORY_KINDS as readonly string[]).includes(kind);
}

type Value = DeclaredService | NetworkNeighbor | NetworkPeer;
export type Item = Entity<Value>;
type Before = Readonly<Record<DirectoryKind, Map<string, Item | undefined>>>;

const NOBODY: ReadonlySet<string> = new Set();

/** An item as nodes see it: `now` in the nodes `shown`, gone in the nodes `hidden`. */
export interface DirectoryChange {
  readonly kind: DirectoryKind;
  readonly key: string;
  readonly revision: number;
  readonly now?: Item;
  readonly shown: ReadonlySet<string>;
  readonly hidden: ReadonlySet<string>;
  /** The one network that it was on, where its changes were shared until now. */
  readonly left?: string;
}

/** An item of one network only, which everybody on it sees alike: `now`, or gone. */
export interface SharedChange {
  readonly kind: DirectoryKind;
  readonly key: string;
  readonly revision: number;
  readonly network: string;
  readonly now?: Item;
  /** The node whose own it is: it is not told. */
  readonly owner: string | undefined;
}

/** A network with the nodes that carry it since now, and those that do no more. */
export interface CarrierMove {
  readonly network: string;
  readonly came: readonly string[];
  readonly went: readonly string[];
}

/**
 * What a batch changes. `moves` come first: who went is not told of `shared`, and who came is to be shown all
 * that is shared on the network.
 */
export interface DirectoryNews {
  readonly moves: readonly CarrierMove[];
  readonly shared: readonly SharedChange[];
  readonly changes: readonly DirectoryChange[];
}

/** Items of one kind, found by network. */
class Shelf {
  readonly items = new Map<string, Item>();
  readonly #byNetwork = new Map<string, Set<string>>();

  set(key: string, item: Item | undefined): void {
    for (const id of networksOf(this.items.get(key))) this.#byNetwork.get(id)?.delete(key);
    if (item === undefined) this.items.delete(key);
    else this.items.set(key, item);
    for (const id of networksOf(item)) {
      const keysOfNetwork = this.#byNetwork.get(id) ?? new Set();
      this.#byNetwork.set(id, keysOfNetwork.add(key));
    }
  }

  on(network: string): Iterable<string> {
    return this.#byNetwork.get(network) ?? [];
  }
}

export class Directory {
  readonly #state: ClusterState;
  readonly #carriers = new Carriers();
  readonly #shelves: Readonly<Record<DirectoryKind, Shelf>> = {
    service: new Shelf(),
    attachment: new Shelf(),
    peer: new Shelf(),
  };
  /** Keys of the services of each stack. */
  readonly #ofStack = new Map<string, Set<string>>();
  /** Stacks whose release uses networks of other stacks, by environment. */
  readonly #sharers = new Map<string, Map<string, StackScope>>();

  /** Begins with what `state` shows; from then on `follow` every batch. */
  constructor(state: ClusterState) {
    this.#state = state;
    const { tasks, stacks, claims } = state.view;
    for (const { key, value } of tasks.all()) {
      this.#carriers.take(key, value);
      this.#putNeighbor(key, value, state.revision);
    }
    for (const { key, value } of claims.by("kind", "address")) {
      this.#carriers.takeClaim(key, claimNameOf(key)[1] ?? "", value);
    }
    for (const { value } of stacks.all()) this.#putServices(value, state.revision, new Map());
    for (const { value } of claims.by("kind", "overlay-id")) {
      this.#putPeers(value.network ?? "", state.revision, new Map());
    }
    this.#carriers.settle();
  }

  /** Everything that `node` is to see. O(items on its networks). */
  list(kind: DirectoryKind, node: string): Item[] {
    const found = new Map<string, Item>();
    for (const network of this.#carriers.networksOf(node)) {
      for (const key of this.#shelves[kind].on(network)) {
        const item = this.#shelves[kind].items.get(key);
        if (item !== undefined && isFor(item, node)) found.set(key, item);
      }
    }
    return [...found.values()];
  }

  /** Items that everybody on `network` sees alike. */
  *sharedOn(kind: DirectoryKind, network: string): Iterable<Item> {
    for (const key of this.#shelves[kind].on(network)) {
      const item = this.#shelves[kind].items.get(key);
      if (item !== undefined && networksOf(item).length === 1) yield item;
    }
  }

  /** Networks that `node` carries. */
  networksOf(node: string): ReadonlySet<string> {
    return this.#carriers.networksOf(node);
  }

  /** Whether `node` carries `network`. */
  carries(node: string, network: string): boolean {
    return this.#carriers.nodesOf(network).has(node);
  }

  /** What the batch, which the view shows already, changes for which nodes. */
  follow(batch: ChangeBatch): DirectoryNews {
    const before: Before = { service: new Map(), attachment: new Map(), peer: new Map() };
    const stacks = new Map<string, StackScope>();
    for (const change of batch.changes) this.#note(change, batch.revision, before, stacks);
    for (const scope of stacks.values()) {
      this.#putServices(scope, batch.revision, before.service);
    }
    const moved = this.#carriers.takeMoves();
    const { revision } = batch;
    const shared: SharedChange[] = [];
    const changes: DirectoryChange[] = [];
    for (const kind of DIRECTORY_KINDS) {
      for (const [key, item] of before[kind]) {
        const one = this.#sharedChange(kind, key, item, revision);
        if (one !== undefined) shared.push(one);
      }
      for (const change of this.#changesOf(kind, before[kind], moved)) {
        changes.push({ ...change, revision });
      }
    }
    const moves = [...moved].map(([network, nodes]) => this.#move(network, nodes));
    this.#carriers.settle();
    return { moves, shared, changes };
  }

  #note(change: Change, revision: number, before: Before, stacks: Map<string, StackScope>): void {
    const { view } = this.#state;
    const value = change.entity?.value ?? change.previous?.value;
    if (change.kind === "task") {
      const task = change.entity?.value as Task | undefined;
      this.#carriers.take(change.key, task);
      remember(before.attachment, this.#shelves.attachment, change.key);
      this.#putNeighbor(change.key, task, revision);
    }
    this.#notePeers(change, revision, before.peer);
    // What a task is called may become known after it, with its release; an address may go to another.
    for (const { key, value: task } of concerned(view, change)) {
      remember(before.attachment, this.#shelves.attachment, key);
      this.#putNeighbor(key, task, revision);
    }
    if (change.kind === "release" || (change.kind === "stack" && declaresOther(change))) {
      stacks.set(stackKey(value as StackScope), value as StackScope);
    }
    // The address of a service comes with its first task, and goes with its last release.
    if (change.kind === "claim" && keyOfServiceAddress(change.key)) {
      const [project = "", environment = "", stack = ""] = (value as ClaimHolder).stack.split("/");
      stacks.set((value as ClaimHolder).stack, { project, environment, stack });
    }
    if (change.kind === "network") {
      stacks.set(stackKey(value as StackScope), value as StackScope);
      for (const [key, scope] of this.#sharers.get(environmentOf(value as StackScope)) ?? []) {
        stacks.set(key, scope);
      }
    }
  }

  /** A node takes part in a network by two claims, and is reached where its status says. */
  #notePeers(
    { kind, key, entity, previous }: Change,
    revision: number,
    before: Map<string, Item | undefined>,
  ): void {
    if (kind === "node-status") {
      const status = entity?.value as NodeStatus | undefined;
      const earlier = previous?.value as NodeStatus | undefined;
      if (JSON.stringify(status?.underlay) === JSON.stringify(earlier?.underlay)) return;
      const name = status?.name ?? earlier?.name ?? "";
      for (const claim of this.#state.view.claims.by("node", name)) {
        this.#putPeer(claimNameOf(claim.key)[1] ?? "", name, revision, before);
      }
    }
    if (kind !== "claim") return;
    const [what, network = ""] = parseKey(key)?.name ?? [];
    if (what === ("address" satisfies Claim["kind"])) {
      const nodes = [entity, previous].map((each) => (each?.value as ClaimHolder)?.node);
      this.#carriers.takeClaim(key, network, entity?.value as ClaimHolder | undefined);
      for (const node of new Set(nodes)) {
        if (node !== undefined) this.#putPeer(network, node, revision, before);
      }
    }
    if (what === ("overlay-id" satisfies Claim["kind"])) {
      const holder = (entity ?? previous)?.value as ClaimHolder | undefined;
      this.#putPeers(holder?.network ?? "", revision, before);
    }
  }

  /** Of all nodes in the network. */
  #putPeers(network: string, revision: number, before: Map<string, Item | undefined>): void {
    for (const { value } of this.#state.view.claims.by("network", network)) {
      if (value.node !== undefined) this.#putPeer(network, value.node, revision, before);
    }
  }

  #putPeer(
    network: string,
    node: string,
    revision: number,
    before: Map<string, Item | undefined>,
  ): void {
    const key = keys.networkPeer(network, node);
    remember(before, this.#shelves.peer, key);
    this.#put("peer", key, peerOf(this.#state.view, network, node), revision);
  }

  #putNeighbor(key: string, task: Task | undefined, revision: number): void {
    const value = task && neighborOf(this.#state.view, task);
    this.#put("attachment", key, value, revision);
  }

  #putServices(scope: StackScope, revision: number, before: Map<string, Item | undefined>): void {
    const now = declaredServices(this.#state.view, scope);
    this.#noteSharing(scope);
    const known = this.#ofStack.get(stackKey(scope)) ?? new Set<string>();
    const present = new Set(now.map((service) => keys.declaredService(service)));
    for (const key of new Set([...known, ...present])) {
      remember(before, this.#shelves.service, key);
    }
    for (const key of known) if (!present.has(key)) this.#put("service", key, undefined, revision);
    for (const service of now) {
      this.#put("service", keys.declaredService(service), service, revision);
    }
    if (present.size === 0) this.#ofStack.delete(stackKey(scope));
    else this.#ofStack.set(stackKey(scope), present);
  }

  #noteSharing(scope: StackScope): void {
    const environment = environmentOf(scope);
    const sharers = this.#sharers.get(environment) ?? new Map<string, StackScope>();
    if (sharesNetworks(this.#state.view, scope)) sharers.set(stackKey(scope), scope);
    else sharers.delete(stackKey(scope));
    if (sharers.size === 0) this.#sharers.delete(environment);
    else this.#sharers.set(environment, sharers);
  }

  /** What says nothing new keeps its revision and is told to nobody. */
  #put(kind: DirectoryKind, key: string, value: Value | undefined, revision: number): void {
    const shelf = this.#shelves[kind];
    const known = shelf.items.get(key);
    if (JSON.stringify(known?.value) === JSON.stringify(value)) return;
    shelf.set(key, value && { key, revision, value });
  }

  #move(network: string, nodes: ReadonlySet<string>): CarrierMove {
    const now = this.#carriers.nodesOf(network);
    const [came, went]: [string[], string[]] = [[], []];
    for (const node of nodes) (now.has(node) ? came : went).push(node);
    return { network, came, went };
  }

  #sharedChange(
    kind: DirectoryKind,
    key: string,
    before: Item | undefined,
    revision: number,
  ): SharedChange | undefined {
    const now = this.#shelves[kind].items.get(key);
    const network = now === before ? undefined : sharedNetwork(now, before);
    if (network === undefined) return undefined;
    const owner = ownerOf(now ?? before);
    return { kind, key, revision, network, owner, ...(now === undefined ? {} : { now }) };
  }

  /** What is not told as a shared change, and for whoever left a network all that was on it. */
  *#changesOf(
    kind: DirectoryKind,
    before: ReadonlyMap<string, Item | undefined>,
    moved: ReadonlyMap<string, ReadonlySet<string>>,
  ): Iterable<Omit<DirectoryChange, "revision">> {
    const shelf = this.#shelves[kind];
    /** Nodes that an item may be shown to or hidden from though it is as it was. */
    const touched = new Map<string, Set<string>>();
    const touch = (key: string, nodes: ReadonlySet<string>) => {
      const known = touched.get(key) ?? new Set<string>();
      touched.set(key, known);
      for (const node of nodes) known.add(node);
    };
    for (const [key, item] of before) {
      const now = shelf.items.get(key);
      if (now === item) continue;
      const network = sharedNetwork(now, item);
      if (network === undefined) {
        const [left] = networksOf(item).length === 1 ? networksOf(item) : [];
        const change = this.#change(kind, key, { now, before: item });
        yield { ...change, ...(left === undefined ? {} : { left }) };
      } else if (item !== undefined) touch(key, moved.get(network) ?? NOBODY);
    }
    // Everything else on a network that a node carries since now, or no more, concerns that node alone.
    for (const [network, nodes] of moved) {
      const gone = nodes.difference(this.#carriers.nodesOf(network));
      for (const key of shelf.on(network)) {
        if (before.has(key) && before.get(key) !== shelf.items.get(key)) continue;
        // Who came is shown what is shared by whoever keeps the network's log.
        const isShared = networksOf(shelf.items.get(key)).length === 1;
        if (!isShared || gone.size > 0) touch(key, isShared ? gone : nodes);
      }
    }
    for (const [key, nodes] of touched) {
      const known = before.get(key);
      const item = before.has(key) ? known : shelf.items.get(key);
      const isShared = networksOf(item).length === 1;
      const change = this.#change(kind, key, { now: shelf.items.get(key), before: item }, nodes);
      const shown = isShared
        ? []
        : [...change.shown].filter((node) => !this.#sawBefore(item, node));
      if (shown.length + change.hidden.size === 0) continue;
      yield { ...change, shown: new Set(shown) };
    }
  }

  #change(
    kind: DirectoryKind,
    key: string,
    { now, before }: { readonly now: Item | undefined; readonly before: Item | undefined },
    among?: ReadonlySet<string>,
  ): Omit<DirectoryChange, "revision"> {
    const shown = new Set<string>();
    const hidden = new Set<string>();
    for (const network of networksOf(now)) {
      const nodes = this.#carriers.nodesOf(network);
      for (const node of among ?? nodes) {
        if (nodes.has(node) && now !== undefined && isFor(now, node)) shown.add(node);
      }
    }
    for (const network of networksOf(before)) {
      const nodes = this.#carriers.nodesBefore(network);
      for (const node of among ?? nodes) {
        if (!nodes.has(node) || shown.has(node)) continue;
        if (before !== undefined && isFor(before, node)) hidden.add(node);
      }
    }
    return { kind, key, shown, hidden, ...(now === undefined ? {} : { now }) };
  }

  #sawBefore(item: Item | undefined, node: string): boolean {
    return networksOf(item).some((network) => this.#carriers.nodesBefore(network).has(node));
  }
}

/** Other tasks that a change says something about. */
function concerned(
  view: ClusterView,
  { kind, key, entity, previous }: Change,
): readonly Entity<Task>[] {
  const value = entity?.value ?? previous?.value;
  if (kind === "status") return view.tasks.by("id", (value as TaskStatus).task);
  if (kind === "claim") {
    if (parseKey(key)?.name[0] !== ("address" satisfies Claim["kind"])) return [];
    const holders = [previous, entity].flatMap((each) => (each?.value as ClaimHolder)?.tasks ?? []);
    return holders.flatMap((id) => view.tasks.by("id", id));
  }
  return kind === "release" ? view.tasks.by("stack", stackKey(value as StackScope)) : [];
}

/** A stack's rollout changes it all the time; what it declares changes with its release and its removal. */
function declaresOther({ entity, previous }: Change): boolean {
  const [now, before] = [entity?.value, previous?.value] as (Stack | undefined)[];
  return (
    now?.release !== before?.release ||
    (now?.deleting === undefined) !== (before?.deleting === undefined) ||
    (now === undefined) !== (before === undefined)
  );
}

function keyOfServiceAddress(key: string): boolean {
  return parseKey(key)?.name[0] === ("service-address" satisfies Claim["kind"]);
}

function remember(before: Map<string, Item | undefined>, shelf: Shelf, key: string): void {
  if (!before.has(key)) before.set(key, shelf.items.get(key));
}

function networksOf(item: Item | undefined): readonly string[] {
  if (item === undefined) return [];
  const { value } = item;
  if ("networkId" in value) return [value.networkId];
  return ("attachments" in value ? value.attachments : value.networks).map(
    (each) => each.networkId,
  );
}

/** The one network that an item was on and is on; `undefined` where there are several or none. */
function sharedNetwork(now: Item | undefined, before: Item | undefined): string | undefined {
  const networks = new Set([...networksOf(now), ...networksOf(before)]);
  const most = Math.max(networksOf(now).length, networksOf(before).length);
  return networks.size === 1 && most === 1 ? [...networks][0] : undefined;
}

/** What a node's own tasks do it knows better, and sooner, than the server: it is not told. */
export function ownerOf(item: Item | undefined): string | undefined {
  return item !== undefined && "attachments" in item.value ? item.value.node : undefined;
}

function isFor(item: Item, node: string): boolean {
  return ownerOf(item) !== node;
}
