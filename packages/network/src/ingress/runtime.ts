/**
 * The runtime API's side of the copies: what a worker has, what it should have, and the commands between.
 *
 * A server is added and made ready; it is drained (no new request, connections go on), put into
 * maintenance and deleted, which HAProxy refuses while a connection lives. So the plan is made again from
 * what is observed until nothing is left, and after a deadline the connections are shut. A worker that a
 * reload has left behind still serves kept-alive connections, one more request each: it follows as well.
 * Pure; cost O(servers).
 */

import { hasCookie, PLACEHOLDER, serverOptions } from "./backend-lines.ts";
import { type IngressBackend, type IngressServer, routeIdOf } from "./plan.ts";

export type ServerState = "ready" | "drain" | "maintenance";

export interface ObservedServer {
  readonly backend: string;
  readonly name: string;
  readonly state: ServerState;
  readonly weight: number;
}

export interface ServerPlan {
  /** In order; a later one may rely on an earlier one. */
  readonly commands: readonly string[];
  /** Servers (`backend/name`) that should be gone: asked for again until they are. */
  readonly leaving: readonly string[];
}

export interface PlanOptions {
  /** A worker left behind by a reload. */
  readonly old: boolean;
  /** Whether the drain's deadline of a leaving server (`backend/name`) has passed. */
  readonly overdue: (server: string) => boolean;
}

/** Bits of `srv_admin_state`: forced, inherited and resolver-made maintenance, then the drains. */
const MAINTENANCE_BITS = 0x01 | 0x02 | 0x04 | 0x20;
const DRAIN_BITS = 0x08 | 0x10;

/** Reads `show servers state`. Unknown lines, and servers that stand for no copy, are left out. */
export function parseServersState(text: string): ObservedServer[] {
  return text.split("\n").flatMap((line) => {
    const [, backend, , name, , , adminText, weightText] = line.split(" ");
    if (line.startsWith("#") || adminText === undefined) return [];
    const admin = Number(adminText);
    if (backend === undefined || name === undefined || !Number.isInteger(admin)) return [];
    if (routeIdOf(backend) === undefined || name === PLACEHOLDER) return [];
    const weight = Number(weightText);
    const maintenance = (admin & MAINTENANCE_BITS) !== 0;
    const drain = (admin & DRAIN_BITS) !== 0;
    const state = maintenance ? "maintenance" : drain ? "drain" : "ready";
    return [{ backend, name, state, weight }];
  });
}

/** Commands that bring a worker nearer to `wanted`; none when it is there. */
export function planServers(
  wanted: readonly IngressBackend[],
  observed: readonly ObservedServer[],
  options: PlanOptions,
): ServerPlan {
  const present = new Map(observed.map((item) => [`${item.backend}/${item.name}`, item]));
  const targets = new Set<string>();
  const arrivals: string[] = [];
  const departures: string[] = [];
  const leaving: string[] = [];
  for (const backend of wanted) {
    let added = false;
    for (const server of backend.servers) {
      const name = `${backend.name}/${server.name}`;
      targets.add(name);
      const found = present.get(name);
      if (found !== undefined) {
        const commands = transition(backend, server, found);
        (server.state === "ready" ? arrivals : departures).push(...commands);
      } else if (server.state === "ready") {
        added = true;
        arrivals.push(...addition(backend, server));
      }
    }
    // Each server that is added this way begins without its cookie.
    if (added && hasCookie(backend)) arrivals.push(`enable dynamic-cookie backend ${backend.name}`);
  }
  for (const [name, { state }] of present) {
    if (targets.has(name)) continue;
    // An old worker's servers end with it; only requests must stay away from them.
    if (!options.old) leaving.push(name);
    departures.push(...removal(name, state, options));
  }
  // Arrivals first: between two commands a request may come, and must find a copy.
  return { commands: [...arrivals, ...departures], leaving };
}

function addition(backend: IngressBackend, server: IngressServer): string[] {
  const name = `${backend.name}/${server.name}`;
  const address = `${server.address}:${server.port}`;
  return [
    `add server ${name} ${address} ${serverOptions(backend, server)}`.trimEnd(),
    `enable server ${name}`,
  ];
}

function transition(
  backend: IngressBackend,
  server: IngressServer,
  found: ObservedServer,
): string[] {
  const name = `${backend.name}/${server.name}`;
  if (server.state === "ready") {
    return [
      ...(found.weight === server.weight ? [] : [`set server ${name} weight ${server.weight}`]),
      ...(found.state === "ready" ? [] : [`set server ${name} state ready`]),
    ];
  }
  if (found.state === "maintenance") return [];
  // A drained copy would still get the clients with its cookie.
  if (hasCookie(backend)) return [`set server ${name} state maint`];
  return found.state === "ready" ? [`set server ${name} state drain`] : [];
}

function removal(name: string, state: ServerState, options: PlanOptions): string[] {
  if (options.old) return state === "maintenance" ? [] : [`set server ${name} state maint`];
  return [
    ...(state === "maintenance" ? [] : [`set server ${name} state maint`]),
    ...(options.overdue(name) ? [`shutdown sessions server ${name}`] : []),
    `del server ${name}`,
  ];
}

export interface HaproxyProcesses {
  readonly masterPid: number;
  readonly currentWorkers: readonly number[];
  readonly oldWorkers: readonly number[];
  /** How often the master has reloaded, and how often in vain. */
  readonly reloads: number;
  readonly reloadsFailed: number;
}

/** Reads the master's `show proc`. */
export function parseProcesses(text: string): HaproxyProcesses | undefined {
  let old = false;
  let master: RegExpExecArray | null = null;
  const currentWorkers: number[] = [];
  const oldWorkers: number[] = [];
  for (const line of text.split("\n")) {
    if (line.startsWith("# ")) old = line.startsWith("# old workers");
    master ??= /^(\d+)\s+master\s+(\d+) \[failed: (\d+)\]/.exec(line);
    const worker = /^(\d+)\s+worker\s/.exec(line)?.[1];
    if (worker !== undefined) (old ? oldWorkers : currentWorkers).push(Number(worker));
  }
  if (master === null) return undefined;
  const [, pid, reloads, reloadsFailed] = master;
  return {
    masterPid: Number(pid),
    currentWorkers,
    oldWorkers,
    reloads: Number(reloads),
    reloadsFailed: Number(reloadsFailed),
  };
}
