/**
 * What must be true of every plan, checked against the oracle. Each check returns the offences it found, so
 * that a test can show both that there are none and that it would find them.
 */

import type { Ask, ClusterModel, Requests, RunningTask } from "../model.ts";
import type { Placement, SchedulePlan } from "../plan.ts";
import {
  type OracleScene,
  oracleAmounts,
  oracleDevices,
  oracleFits,
  oraclePortsClash,
  oracleRoom,
} from "./oracle.ts";

/** One call of the scheduler: what went in. */
export interface Scene {
  readonly cluster: ClusterModel;
  readonly asks: readonly Ask[];
  readonly defaults: Requests;
}

/** All offences of a plan. */
export function planOffences(scene: Scene, plan: SchedulePlan): string[] {
  return [
    ...answerOffences(scene, plan),
    ...replayOffences(scene, plan),
    ...capacityOffences(scene, plan),
    ...togetherOffences(scene, plan),
    ...pendingOffences(scene, plan),
    ...countOffences(scene, plan),
  ];
}

/** Every ask is answered, once. */
function answerOffences({ asks }: Scene, plan: SchedulePlan): string[] {
  const answered = [...plan.placements, ...plan.refusals].map(({ ask }) => ask).sort();
  const asked = asks.map(({ id }) => id).sort();
  return asked.join() === answered.join() ? [] : [`asked ${asked}, answered ${answered}`];
}

/** Each placement was allowed when it was made. */
function replayOffences(scene: Scene, plan: SchedulePlan): string[] {
  const tasks = [...scene.cluster.tasks];
  return plan.placements.flatMap((placement) => {
    const ask = askOf(scene, placement.ask);
    const node = scene.cluster.nodes.find((each) => each.id === placement.node);
    if (ask === undefined || node === undefined) return [`${placement.ask}: placed out of nowhere`];
    const companions = scene.asks
      .filter((other) => other.id !== ask.id && ask.pod !== undefined && other.pod === ask.pod)
      .map((other) => other.service);
    const fits = oracleFits(oracleScene(scene, tasks), ask, node, companions);
    tasks.push(taskOf(ask, placement));
    return fits ? [] : [`${ask.id}: may not be on ${node.id}`];
  });
}

/** What the plan adds never exceeds a node: resources less the reserve, devices, ports, tasks. */
function capacityOffences(scene: Scene, plan: SchedulePlan): string[] {
  const final = finalScene(scene, plan);
  return final.nodes.flatMap((node) => {
    const added = plan.placements.filter((placement) => placement.node === node.id);
    if (added.length === 0) return [];
    const here = final.tasks.filter((task) => task.node === node.id);
    const offences: string[] = [];
    const used = new Map<string, number>();
    for (const task of here) {
      for (const [name, amount] of oracleAmounts(task.requests, scene.defaults)) {
        used.set(name, (used.get(name) ?? 0) + amount);
      }
    }
    // Who may go furthest may have come last.
    const most = (name: string) => {
      const allowed = added.map(({ ask }) => askOf(scene, ask)?.overcommit);
      if (name !== "cpu" && name !== "memory") return 1;
      return Math.max(100, ...allowed.map((each) => each?.[name] ?? 100)) / 100;
    };
    for (const placement of added) {
      const ask = askOf(scene, placement.ask);
      for (const [name, amount] of oracleAmounts(ask?.requests ?? {}, scene.defaults)) {
        const over = amount > 0 && (used.get(name) ?? 0) > oracleRoom(node, name) * most(name);
        if (over) offences.push(`${node.id}: too much ${name}`);
      }
      offences.push(...deviceOffences(ask, placement));
    }
    const broken = oracleDevices(final, node).filter((device) => device.free < 0);
    offences.push(...broken.map(({ kind, index }) => `${node.id}: ${kind} ${index} given twice`));
    if (here.length > (node.maxTasks ?? Number.POSITIVE_INFINITY))
      offences.push(`${node.id}: tasks`);
    offences.push(...portOffences(here, added));
    return offences;
  });
}

/** A placed task shares no port with any other; tasks that ran already may clash among themselves. */
function portOffences(here: readonly RunningTask[], added: readonly Placement[]): string[] {
  const placed = new Set(added.map(({ ask }) => ask));
  return here
    .filter((task) => placed.has(task.id))
    .flatMap((task) =>
      here
        .filter((other) => other.id !== task.id)
        .filter((other) =>
          (task.ports ?? []).some((port) =>
            (other.ports ?? []).some((held) => oraclePortsClash(port, held)),
          ),
        )
        .map((other) => `${task.id} and ${other.id} share a port`),
    );
}

/** A placement has the devices that were asked for: as many, of that kind, each once. */
function deviceOffences(ask: Ask | undefined, placement: Placement): string[] {
  const wanted = (ask?.requests.devices ?? []).map(
    ({ kind, count = 1, shareMillis = 1_000 }) => `${kind} ${count} ${shareMillis}`,
  );
  const given = placement.devices.map(
    ({ kind, indexes, shareMillis }) => `${kind} ${new Set(indexes).size} ${shareMillis}`,
  );
  return wanted.join() === given.join() ? [] : [`${placement.ask}: wanted ${wanted}, got ${given}`];
}

/** Gangs are whole or absent, pods are whole on one node or absent. */
function togetherOffences(scene: Scene, plan: SchedulePlan): string[] {
  const nodeOf = new Map(plan.placements.map(({ ask, node }) => [ask, node]));
  const groupsBy = (key: "pod" | "gang") => Map.groupBy(scene.asks, (ask) => ask[key]);
  const offences: string[] = [];
  for (const key of ["pod", "gang"] as const) {
    for (const [name, members] of groupsBy(key)) {
      if (name === undefined) continue;
      const nodes = members.flatMap(({ id }) => nodeOf.get(id) ?? []);
      const whole = nodes.length === 0 || nodes.length === members.length;
      if (!whole) offences.push(`${key} ${name}: ${nodes.length} of ${members.length} placed`);
      if (key === "pod" && new Set(nodes).size > 1) offences.push(`pod ${name} is torn apart`);
    }
  }
  return offences;
}

/** What is refused has no place beside what was placed. Single asks, and pods on each node. */
function pendingOffences(scene: Scene, plan: SchedulePlan): string[] {
  const final = finalScene(scene, plan);
  const refused = new Set(plan.refusals.map(({ ask }) => ask));
  return scene.asks.flatMap((ask) => {
    if (!refused.has(ask.id) || ask.gang !== undefined) return [];
    const members = scene.asks.filter(
      (other) => other.id === ask.id || (ask.pod !== undefined && other.pod === ask.pod),
    );
    if (members.some((member) => member.gang !== undefined)) return [];
    const node = final.nodes.find((each) => takesAll(final, members, each));
    return node === undefined ? [] : [`${ask.id}: refused, but fits on ${node.id}`];
  });
}

/** Is each member allowed beside all the others, and are there devices for all of them at once? */
function takesAll(scene: OracleScene, members: readonly Ask[], node: OracleScene["nodes"][number]) {
  const devices = members.flatMap(({ requests }) => requests.devices ?? []);
  return members.every((ask) => {
    const others = members.filter((other) => other !== ask);
    const tasks = [...scene.tasks, ...others.map((other) => ({ ...other, node: node.id }))];
    const services = others.map((other) => other.service);
    const whole = { ...ask, requests: { ...ask.requests, devices } };
    return oracleFits({ ...scene, tasks }, whole, node, services);
  });
}

/** The counts of a refusal add up to the nodes, and every hint names a node that exists. */
function countOffences({ cluster }: Scene, plan: SchedulePlan): string[] {
  return plan.refusals.flatMap(({ ask, nodesTotal, rules, hints }) => {
    const sum = rules.reduce((total, rule) => total + rule.count, 0);
    const ids = new Set(cluster.nodes.map(({ id }) => id));
    const strangers = hints.filter((hint) => !ids.has(hint.node));
    const wrongSum = sum !== nodesTotal || nodesTotal !== cluster.nodes.length;
    return [
      ...(wrongSum ? [`${ask}: counts add up to ${sum} of ${nodesTotal}`] : []),
      ...strangers.map((hint) => `${ask}: hint names ${hint.node}`),
    ];
  });
}

function askOf(scene: Scene, id: string): Ask | undefined {
  return scene.asks.find((ask) => ask.id === id);
}

function taskOf(ask: Ask, placement: Placement): RunningTask {
  return { ...ask, node: placement.node, devices: placement.devices };
}

function oracleScene(scene: Scene, tasks: readonly RunningTask[]): OracleScene {
  return { nodes: scene.cluster.nodes, tasks, defaults: scene.defaults };
}

/** The cluster after all placements. */
export function finalScene(scene: Scene, plan: SchedulePlan): OracleScene {
  const placed = plan.placements.flatMap((placement) => {
    const ask = askOf(scene, placement.ask);
    return ask === undefined ? [] : [taskOf(ask, placement)];
  });
  return oracleScene(scene, [...scene.cluster.tasks, ...placed]);
}
