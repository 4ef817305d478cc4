/**
 * The slow and obvious scheduler that the fast one is held against: may this ask be on this node?
 *
 * Written from the documentation of the model alone, without the filters, without state: every question is
 * answered anew from the plain lists of nodes and tasks. It says yes or no, and nothing about which node is
 * best. Cost: whatever it takes.
 */

import { normalArchitecture } from "../attribute.ts";
import { meetsConstraint } from "../constraint.ts";
import type { Ask, HostPort, NodeModel, Requests, RunningTask } from "../model.ts";

/** A moment as the oracle sees it. */
export interface OracleScene {
  readonly nodes: readonly NodeModel[];
  readonly tasks: readonly RunningTask[];
  readonly defaults: Requests;
}

/** May `ask` be placed on `node`, beside the tasks there are? `companions`: services of its pod. */
export function oracleFits(
  scene: OracleScene,
  ask: Ask,
  node: NodeModel,
  companions: readonly string[] = [],
): boolean {
  return (
    isUsable(ask, node) &&
    podStaysTogether(scene, ask, node) &&
    volumesAllow(scene, ask, node) &&
    addressesAllow(scene, ask, node) &&
    portsAllow(scene, ask, node) &&
    hasRoom(scene, ask, node) &&
    hasDevices(scene, ask, node) &&
    neighboursAllow(scene, ask, node, companions) &&
    countsAllow(scene, ask, node)
  );
}

/** What holds or not whatever runs. */
export function isUsable(ask: Ask, node: NodeModel): boolean {
  if (!node.ready || node.draining) return false;
  if (ask.pinnedNode !== undefined && ask.pinnedNode !== node.id) return false;
  const platforms = (ask.platforms ?? []).map(
    (p) => `${p.os}/${normalArchitecture(p.architecture)}`,
  );
  const own = `${node.platform.os}/${normalArchitecture(node.platform.architecture)}`;
  if (platforms.length > 0 && !platforms.includes(own)) return false;
  for (const constraint of ask.constraints ?? []) {
    if (!meetsConstraint(node, constraint)) return false;
  }
  for (const taint of node.taints) {
    if (taint.effect === "prefer-no-schedule") continue;
    let tolerated = false;
    for (const t of ask.tolerations ?? []) {
      const key = t.key === undefined || t.key === taint.key;
      const value = t.value === undefined || t.value === (taint.value ?? "");
      const effect = t.effect === undefined || t.effect === taint.effect;
      if (key && value && effect) tolerated = true;
    }
    if (!tolerated) return false;
  }
  return true;
}

function podStaysTogether(scene: OracleScene, ask: Ask, node: NodeModel): boolean {
  if (ask.pod === undefined) return true;
  const members = scene.tasks.filter((task) => task.pod === ask.pod && task.leaving !== true);
  return members.every((task) => task.node === node.id);
}

function volumesAllow(scene: OracleScene, ask: Ask, node: NodeModel): boolean {
  for (const use of ask.volumes ?? []) {
    let homeByUse: string | undefined;
    for (const task of [...scene.tasks].sort((a, b) => (a.id < b.id ? -1 : 1))) {
      for (const other of task.volumes ?? []) {
        if (other.key !== use.key) continue;
        if (other.reach !== "cluster") homeByUse ??= task.node;
        const onePod = ask.pod !== undefined && task.pod === ask.pod;
        if (!onePod && (use.mode === "exclusive" || other.mode === "exclusive")) return false;
      }
    }
    if (use.reach === "cluster") continue;
    const homeByNode = scene.nodes.find((each) => each.volumes.includes(use.key))?.id;
    const home = use.node ?? homeByNode ?? homeByUse;
    if (home !== undefined && home !== node.id) return false;
  }
  return true;
}

function addressesAllow(scene: OracleScene, ask: Ask, node: NodeModel): boolean {
  for (const { address, pool } of ask.addresses ?? []) {
    if (!(node.pools ?? []).includes(pool)) return false;
    const held = scene.tasks.some((task) =>
      (task.addresses ?? []).some((a) => a.address === address),
    );
    if (held) return false;
  }
  return true;
}

function portsAllow(scene: OracleScene, ask: Ask, node: NodeModel): boolean {
  const taken: HostPort[] = [...(node.portsTaken ?? [])];
  for (const task of scene.tasks) if (task.node === node.id) taken.push(...(task.ports ?? []));
  for (const port of ask.ports ?? []) {
    const specific = port.address !== undefined && port.address !== "0.0.0.0";
    if (specific && node.addresses.length > 0 && !node.addresses.includes(port.address))
      return false;
    for (const other of taken) if (oraclePortsClash(port, other)) return false;
  }
  return true;
}

export function oraclePortsClash(a: HostPort, b: HostPort): boolean {
  const every = (address: string | undefined) => address === undefined || address === "0.0.0.0";
  const overlap = every(a.address) || every(b.address) || a.address === b.address;
  return overlap && a.protocol === b.protocol && a.port === b.port;
}

/** All amounts of a request by name, defaults filled in. */
export function oracleAmounts(requests: Requests, defaults: Requests): Map<string, number> {
  const amounts = new Map<string, number>();
  amounts.set("cpu", requests.cpuMillis ?? defaults.cpuMillis ?? 0);
  amounts.set("memory", requests.memoryBytes ?? defaults.memoryBytes ?? 0);
  amounts.set("disk", requests.diskBytes ?? defaults.diskBytes ?? 0);
  amounts.set("pids", requests.pids ?? defaults.pids ?? 0);
  for (const [name, value] of Object.entries({ ...defaults.resources, ...requests.resources })) {
    amounts.set(`resource ${name}`, value);
  }
  return amounts;
}

/** What a node may give away in all. */
export function oracleRoom(node: NodeModel, name: string): number {
  if (name === "cpu") return node.cpuMillis - node.reserved.cpuMillis;
  if (name === "memory") return node.memoryBytes - node.reserved.memoryBytes;
  if (name === "disk") return node.diskBytes - node.reserved.diskBytes;
  if (name === "pids") return node.pidsMax ?? Number.POSITIVE_INFINITY;
  return node.resources[name.replace("resource ", "")] ?? 0;
}

function hasRoom(scene: OracleScene, ask: Ask, node: NodeModel): boolean {
  const here = scene.tasks.filter((task) => task.node === node.id);
  if (node.maxTasks !== undefined && here.length + 1 > node.maxTasks) return false;
  for (const [name, amount] of oracleAmounts(ask.requests, scene.defaults)) {
    let used = 0;
    let kept = 0;
    for (const task of here) {
      const request = oracleAmounts(task.requests, scene.defaults).get(name) ?? 0;
      used += request;
      kept += oracleKept(task, name) ?? request;
    }
    const room = oracleRoom(node, name);
    const percent = (name === "cpu" || name === "memory" ? ask.overcommit?.[name] : 0) ?? 0;
    const fits =
      percent <= 100
        ? used + amount <= room
        : kept + amount <= room && 100 * (used + amount - room) <= room * (percent - 100);
    if (amount > 0 && !fits) return false;
  }
  return true;
}

/** What a task keeps by its measured use: a margin beyond it, nothing beyond its limit. */
function oracleKept({ measured, limits = {} }: RunningTask, name: string): number | undefined {
  const field = name === "cpu" ? "cpuMillis" : "memoryBytes";
  const use = name === "cpu" || name === "memory" ? measured?.[field] : undefined;
  if (use === undefined) return undefined;
  const kept = Math.ceil((use * (100 + (measured?.marginPercent ?? 20))) / 100);
  return limits[field] === undefined ? kept : Math.min(kept, limits[field]);
}

/** Kind, model and free thousandths of every device of the node. */
export function oracleDevices(scene: OracleScene, node: NodeModel) {
  const devices: { kind: string; model: string; index: number; free: number }[] = [];
  for (const { kind, model, count } of node.devices) {
    for (let i = 0; i < count; i++) {
      const index = devices.filter((device) => device.kind === kind).length;
      devices.push({ kind, model, index, free: 1_000 });
    }
  }
  for (const task of scene.tasks) {
    if (task.node !== node.id) continue;
    for (const given of task.devices ?? []) {
      for (const device of devices) {
        if (device.kind !== given.kind || !given.indexes.includes(device.index)) continue;
        device.free -= given.shareMillis;
      }
    }
  }
  return devices;
}

/** Tries every way to hand out the devices. */
function hasDevices(scene: OracleScene, ask: Ask, node: NodeModel): boolean {
  const requests = ask.requests.devices ?? scene.defaults.devices ?? [];
  const singles = requests.flatMap((request, at) =>
    Array.from({ length: request.count ?? 1 }, () => ({ request, at })),
  );
  const free = oracleDevices(scene, node);
  const tryFrom = (position: number, taken: readonly string[]): boolean => {
    const single = singles[position];
    if (single === undefined) return true;
    const { request, at } = single;
    const share = request.shareMillis ?? 1_000;
    return free.some((device) => {
      const models = request.models ?? [];
      if (device.kind !== request.kind || device.free < share) return false;
      if (models.length > 0 && !models.includes(device.model)) return false;
      const name = `${at} ${device.index} ${device.kind}`;
      if (taken.includes(name)) return false;
      device.free -= share;
      const fits = tryFrom(position + 1, [...taken, name]);
      device.free += share;
      return fits;
    });
  };
  return tryFrom(0, []);
}

/** The domain of a node; tests use `node` and topology levels only. */
export function oracleDomain(node: NodeModel | undefined, level: string): string | undefined {
  return level === "node" ? node?.id : node?.topology[level];
}

function neighboursAllow(
  scene: OracleScene,
  ask: Ask,
  node: NodeModel,
  companions: readonly string[],
): boolean {
  const nodeOf = (task: RunningTask) => scene.nodes.find((each) => each.id === task.node);
  const near = (task: RunningTask, level: string) => {
    const domain = oracleDomain(node, level);
    return domain !== undefined && domain === oracleDomain(nodeOf(task), level);
  };
  for (const wanted of ask.affinities ?? []) {
    if (wanted.kind !== "service" || !wanted.required) continue;
    if (companions.includes(wanted.service)) continue;
    const copies = scene.tasks.filter((task) => {
      if (task.service !== wanted.service || task.leaving === true) return false;
      return oracleDomain(nodeOf(task), wanted.level) !== undefined;
    });
    if (copies.length === 0 && wanted.service === ask.service) continue;
    if (!copies.some((task) => near(task, wanted.level))) return false;
  }
  for (const refused of ask.antiAffinities ?? []) {
    if (!refused.required) continue;
    const there = scene.tasks.filter((task) => task.service === refused.service);
    const beside = there.filter((task) => near(task, refused.level));
    if (beside.length > (refused.max ?? 0)) return false;
  }
  for (const task of scene.tasks) {
    for (const refused of task.antiAffinities ?? []) {
      if (!refused.required || refused.service !== ask.service) continue;
      if (!near(task, refused.level)) continue;
      const others = scene.tasks.filter(
        (other) => other !== task && other.service === ask.service && near(other, refused.level),
      );
      if (others.length + 1 > (refused.max ?? 0)) return false;
    }
  }
  return true;
}

function countsAllow(scene: OracleScene, ask: Ask, node: NodeModel): boolean {
  const copies = scene.tasks.filter(
    (task) => task.service === ask.service && task.leaving !== true,
  );
  const here = copies.filter((task) => task.node === node.id).length;
  if (ask.maxPerNode !== undefined && here + 1 > ask.maxPerNode) return false;
  for (const spread of ask.spread ?? []) {
    if (!spread.required) continue;
    const own = oracleDomain(node, spread.level);
    if (own === undefined) return false;
    const domains = new Set<string>();
    for (const each of scene.nodes) {
      const domain = oracleDomain(each, spread.level);
      if (domain !== undefined && isUsable(ask, each)) domains.add(domain);
    }
    const count = (domain: string) =>
      copies.filter((task) => {
        const home = scene.nodes.find((each) => each.id === task.node);
        return oracleDomain(home, spread.level) === domain;
      }).length;
    const fewest = Math.min(...[...domains].map(count));
    if (count(own) + 1 - fewest > (spread.maxSkew ?? 1)) return false;
  }
  return true;
}
