/**
 * Nothing grows without bound: rows of the store, rows of agents' databases, containers, networks and volumes of
 * hosts, and waiting timers stay within a measure of what is there, however long a run goes on.
 *
 * What is kept by age (audit entries, answers under idempotency keys, finished operations: a day and more) is not
 * judged: no run is that long. Looks from time to time; speaks when something is over its bound.
 */

import { type Kind, stackKey } from "@berth/protocol";
import { TaskGroups } from "../task-groups.ts";
import type { Checker, Scene, Speak } from "./checker.ts";

/** Rows of the store, for each stack that users work on. */
const ROWS_PER_STACK: Partial<Readonly<Record<Kind, number>>> = {
  deployment: 25,
  release: 16,
  scale: 8,
  stack: 1,
  network: 4,
  volume: 8,
};
/** Rows of the store, for each machine. */
const ROWS_PER_MACHINE: Partial<Readonly<Record<Kind, number>>> = {
  member: 1,
  node: 1,
  "node-status": 1,
};
/** Events of an environment are cut back to 1,000 every ten minutes, and at each start of a server. */
const EVENTS_MAX = 5_000;
/** Three ended ones as history, two live, those that a server given up by its store has not tidied yet. */
const TASKS_PER_PLACE_MAX = 20;
/** Of a place, counted with what a release that may run again refers to. */
const CLAIMS_PER_TASK = 8;
const CLAIMS_FREE = 100;
/** Containers of an agent, for each task that it was told: one, and one that is going. */
const CONTAINERS_PER_TASK = 2;
/** What lies around while a host catches up after a fault. */
const HOST_SLACK = 12;
/** Rows of an agent's database, for each task and each thing that the store has. */
const ROWS_PER_THING = 6;
const ROWS_FREE = 300;
/** Loops, lines, probes and programs of a machine, of a task, and of all else. */
const TIMERS = { machine: 120, task: 30, free: 400 } as const;

export function growthChecker(): Checker {
  const rows = new Map<string, number>();
  const places = new TaskGroups((task) => [`${stackKey(task)}/${task.service}.${task.slot}`]);
  return {
    name: "growth",
    onWritten(written, { cluster }, speak) {
      for (const { kind = "", value, previous } of written) {
        const step = Number(value !== undefined) - Number(previous !== undefined);
        rows.set(kind, (rows.get(kind) ?? 0) + step);
      }
      for (const place of places.follow(written, cluster.facts)) {
        const count = [...places.of(place)].length;
        if (count > TASKS_PER_PLACE_MAX)
          tell(speak, `tasks of ${place}`, count, TASKS_PER_PLACE_MAX);
      }
    },
    onTick(scene, speak) {
      for (const [what, count, max] of measures(scene, rows)) {
        if (count > max) tell(speak, what, count, max);
      }
    },
  };
}

/** Once for each thing: the number goes on changing. */
function tell(speak: Speak, what: string, _count: number, max: number): void {
  speak(`${what} are more than ${max}`);
}

type Measure = readonly [what: string, count: number, max: number];

function* measures(scene: Scene, rows: ReadonlyMap<string, number>): Iterable<Measure> {
  const { cluster, users, timers } = scene;
  const { facts, machines } = cluster;
  const tasks = facts.task.size;
  const count = (kind: string) => rows.get(kind) ?? 0;
  for (const [kind, max] of Object.entries(ROWS_PER_STACK)) {
    yield [`rows of ${kind}`, count(kind), max * users.length];
  }
  for (const [kind, max] of Object.entries(ROWS_PER_MACHINE)) {
    yield [`rows of ${kind}`, count(kind), max * machines.length];
  }
  yield ["rows of event", count("event"), EVENTS_MAX];
  yield ["rows of status", count("status"), tasks + HOST_SLACK * machines.length];
  yield ["rows of claim", count("claim"), CLAIMS_PER_TASK * tasks + CLAIMS_FREE];
  const { machine, task, free } = TIMERS;
  yield ["waiting timers", timers, machine * machines.length + task * tasks + free];
  for (const each of machines) yield* measuresOf(each, scene);
}

function* measuresOf(
  { name, host, db }: Scene["cluster"]["machines"][number],
  { cluster: { facts } }: Scene,
): Iterable<Measure> {
  const own = [...facts.task.values()].filter(({ node }) => node === name).length;
  const things = own + facts.network.size + facts.stack.size + facts.task.size;
  const containersMax = CONTAINERS_PER_TASK * own + HOST_SLACK;
  yield [`containers of ${name}`, host.containers.size, containersMax];
  yield [`networks of ${name}`, host.networks.size, facts.network.size + HOST_SLACK];
  yield [`volumes of ${name}`, host.volumes.size, facts.volume.size + HOST_SLACK];
  yield [`rows of the agent of ${name}`, db.size, ROWS_PER_THING * things + ROWS_FREE];
}
