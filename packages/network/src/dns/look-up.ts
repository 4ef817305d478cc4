/**
 * What a name means to an asker: a service, a copy, something above names, or nothing of ours.
 *
 * Pure; O(networks of the asker). What is answered then: answer.ts. Why, in words: explain.ts.
 */

import type { Asker, DnsTables, Hit, NameEntry, NetworkNames } from "./tables.ts";

const COPY_NAME = /^(.+)-(\d{1,7})$/;
const TASKS_PREFIX = "tasks.";

export function isLocalhost(name: string): boolean {
  return name === "localhost" || name.endsWith(".localhost");
}

/** Nobody else is asked for it. */
export function isOurs(tables: DnsTables, asker: Asker, name: string): boolean {
  const isShort = !name.includes(".") && asker.isHost === undefined;
  return isShort || name.endsWith(`.${tables.domain}`);
}

/** An empty non-terminal (RFC 8020): NXDOMAIN would say that nothing is below it either. */
export function isParent(tables: DnsTables, asker: Asker, name: string): boolean {
  const ending = `.${tables.domain}`;
  if (!name.endsWith(ending)) return false;
  const labels = name.slice(0, -ending.length);
  const parent = labels.startsWith(TASKS_PREFIX) ? labels.slice(TASKS_PREFIX.length) : labels;
  return asker.networks.some(({ parents }) => parents.has(parent));
}

/** Names of one asker that are remembered; what is not found is not, so nobody fills it with nonsense. */
const HITS_MAX = 1_024;

/** As `findName`, once for each name that is found: the tables of a model never change. */
export function lookUp(tables: DnsTables, asker: Asker, name: string): Hit | undefined {
  const known = asker.hits.get(name);
  if (known !== undefined) return known;
  const hit = findName(tables, asker, name);
  if (hit !== undefined && asker.hits.size < HITS_MAX) asker.hits.set(name, hit);
  return hit;
}

function findName(tables: DnsTables, asker: Asker, name: string): Hit | undefined {
  const ending = `.${tables.domain}`;
  if (name.endsWith(ending)) {
    // The last three labels are stack, environment and project, which have no dots; a service may.
    const labels = name.slice(0, -ending.length).split(".");
    const suffix = labels.slice(-3).join(".");
    const label = labels.slice(0, -3).join(".");
    const full = label === "" ? undefined : lookUpLabel(asker, label, suffix);
    if (full !== undefined) return full;
  }
  // Also `tasks.berth`, of a service that is called as the domain.
  return asker.isHost === undefined ? lookUpLabel(asker, name, undefined) : undefined;
}

function lookUpLabel(asker: Asker, label: string, suffix: string | undefined): Hit | undefined {
  const direct = entriesOf(asker, label, suffix);
  if (direct !== undefined) {
    const { entries, network, isHostname } = direct;
    const rule = isHostname ? "hostname" : "service";
    return { entries, network, all: false, rule, prepared: new Map() };
  }
  if (label.startsWith(TASKS_PREFIX)) {
    const tasks = entriesOf(asker, label.slice(TASKS_PREFIX.length), suffix);
    if (tasks !== undefined) {
      const { entries, network } = tasks;
      return { entries, network, all: true, rule: "tasks", prepared: new Map() };
    }
  }
  const [, service, slot] = COPY_NAME.exec(label) ?? [];
  if (service === undefined || String(Number(slot)) !== slot) return undefined;
  const owners = entriesOf(asker, service, suffix);
  return owners && copyIn(owners, Number(slot));
}

/** The copy of that slot: ready, or attached, in which case its name exists without an address. */
function copyIn({ entries: owners, network }: Found, slot: number): Hit | undefined {
  const entries = owners.flatMap(({ service }) =>
    service.copies.filter((copy) => copy.slot === slot).map((copy) => ({ service, copy })),
  );
  const exists = entries.length > 0 || owners.some(({ service }) => service.slots.has(slot));
  return exists ? { entries, network, all: true, rule: "copy", prepared: new Map() } : undefined;
}

interface Found {
  readonly entries: readonly NameEntry[];
  readonly network: NetworkNames;
  readonly isHostname: boolean;
}

/** A service of that name, else a copy of that host name: a host never takes a service's clients. */
function entriesOf(asker: Asker, label: string, suffix: string | undefined): Found | undefined {
  return firstOf(asker, label, suffix, "services") ?? firstOf(asker, label, suffix, "hosts");
}

/**
 * Entries on the first of the asker's networks that has any of its own stack, else on the first that has
 * any: a copy on two networks is answered once, a neighbour's `web` never instead of our own.
 */
function firstOf(
  asker: Asker,
  label: string,
  suffix: string | undefined,
  kind: "services" | "hosts",
): Found | undefined {
  let foreign: Found | undefined;
  for (const network of asker.networks) {
    const entries = withSuffix(network[kind].get(label), suffix);
    if (entries.length === 0) continue;
    const isHostname = kind === "hosts";
    const own = ownOf(entries, asker.stack);
    if (own.length > 0) return { entries: own, network, isHostname };
    foreign ??= { entries, network, isHostname };
  }
  return foreign;
}

/** Mostly all of them are: then nothing is made anew. */
function ownOf(entries: readonly NameEntry[], stack: string): readonly NameEntry[] {
  return entries.every(({ service }) => service.stack === stack)
    ? entries
    : entries.filter(({ service }) => service.stack === stack);
}

function withSuffix(
  entries: readonly NameEntry[] = [],
  suffix: string | undefined,
): readonly NameEntry[] {
  return suffix === undefined ? entries : entries.filter((item) => item.service.suffix === suffix);
}
