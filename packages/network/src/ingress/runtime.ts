/**
 * The runtime API's side of the copies: what a worker has, what it should have, and the commands between.
 *
 * A server is added and made ready; it is drained (no new request, connections go on), put into
 * maintenance and deleted, which HAProxy refuses while a connection lives. So the plan is made again from
 * what is observed until nothing is left, and after a deadline the connections are shut. A worker that a
 * reload has left behind still serves kept-alive connections, one more request each: it follows as well.
 * Pure; cost O(servers).
 */

import { POOL_OPTIONS } from "./config.ts";
import type { IngressBackend, IngressServer } from "./plan.ts";

export type ServerState = "ready" | "drain" | "maintenance";

export interface ObservedServer {
  readonly backend: string;
  readonly name: string;
  readonly state: ServerState;
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

/** Reads `show servers state`. Unknown lines are left out. */
export function parseServersState(text: string): ObservedServer[] {
  return text.split("\n").flatMap((line) => {
    const [, backend, , name, , , adminText] = line.split(" ");
    if (line.startsWith("#") || adminText === undefined) return [];
    const admin = Number(adminText);
    if (backend === undefined || name === undefined || !Number.isInteger(admin)) return [];
    const maintenance = (admin & MAINTENANCE_BITS) !== 0;
    const drain = (admin & DRAIN_BITS) !== 0;
    return [{ backend, name, state: maintenance ? "maintenance" : drain ? "drain" : "ready" }];
  });
}

/** Commands that bring a worker nearer to `wanted`; none when it is there. */
export function planServers(
  wanted: readonly IngressBackend[],
  observed: readonly ObservedServer[],
  options: PlanOptions,
): ServerPlan {
  const targets = new Map<string, IngressServer>();
  for (const backend of wanted) {
    for (const server of backend.servers) targets.set(`${backend.name}/${server.name}`, server);
  }
  const present = new Map(observed.map((item) => [`${item.backend}/${item.name}`, item.state]));
  const arrivals: string[] = [];
  const departures: string[] = [];
  const leaving: string[] = [];
  for (const [name, server] of targets) {
    const state = present.get(name);
    if (state !== undefined) {
      (server.state === "ready" ? arrivals : departures).push(
        ...transition(name, state, server.state),
      );
    } else if (server.state === "ready") arrivals.push(...addition(name, server));
  }
  for (const [name, state] of present) {
    if (targets.has(name)) continue;
    // An old worker's servers end with it; only requests must stay away from them.
    if (!options.old) leaving.push(name);
    departures.push(...removal(name, state, options));
  }
  // Arrivals first: between two commands a request may come, and must find a copy.
  return { commands: [...arrivals, ...departures], leaving };
}

function addition(name: string, server: IngressServer): string[] {
  const address = `${server.address}:${server.port}`;
  return [`add server ${name} ${address} ${POOL_OPTIONS}`, `enable server ${name}`];
}

function transition(name: string, from: ServerState, to: IngressServer["state"]): string[] {
  if (to === "ready") return from === "ready" ? [] : [`set server ${name} state ready`];
  return from === "ready" ? [`set server ${name} state drain`] : [];
}

function removal(name: string, state: ServerState, options: PlanOptions): string[] {
  if (options.old) return state === "maintenance" ? [] : [`set server ${name} state maint`];
  return [
    ...(state === "maintenance" ? [] : [`set server ${name} state maint`]),
    ...(options.overdue(name) ? [`shutdown sessions server ${name}`] : []),
    `del server ${name}`,
  ];
}

export interface StatRow {
  readonly backend: string;
  readonly name: string;
  /** `10.0.0.5:8080`; empty for frontends and backends. */
  readonly address: string;
  readonly sessions: number;
  readonly queued: number;
  readonly sessionsTotal: number;
}

/** Reads `show stat` (CSV with a header that names its columns). */
export function parseStat(text: string): StatRow[] {
  const [header = "", ...lines] = text.split("\n");
  const columns = header.replace(/^# /, "").split(",");
  const column = (name: string) => columns.indexOf(name);
  const at = {
    backend: column("pxname"),
    name: column("svname"),
    address: column("addr"),
    sessions: column("scur"),
    queued: column("qcur"),
    sessionsTotal: column("stot"),
  };
  return lines
    .filter((line) => line.includes(","))
    .map((line) => {
      const fields = line.split(",");
      return {
        backend: fields[at.backend] ?? "",
        name: fields[at.name] ?? "",
        address: fields[at.address] ?? "",
        sessions: Number(fields[at.sessions] ?? 0),
        queued: Number(fields[at.queued] ?? 0),
        sessionsTotal: Number(fields[at.sessionsTotal] ?? 0),
      };
    });
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
