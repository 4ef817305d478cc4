/**
 * Required distance, in both directions: the ask refuses domains where the other service is, and tasks that
 * refuse the ask's service keep it out of their domains.
 *
 * Copies that leave count, for they are still there. A node outside every domain of the level has no
 * neighbour there and is accepted. `max` copies are borne beside one another; then who comes next is refused.
 */

import { domainOf, domainReader } from "../attribute.ts";
import { compareText } from "../cluster-state.ts";
import {
  type Filter,
  type Finding,
  holdersOf,
  type Reach,
  type Subject,
  verb,
  whoHolds,
} from "../filter.ts";
import type { Held } from "../held.ts";
import { neighbour, neighbourOf } from "../neighbour.ts";
import type { NodeState } from "../node-state.ts";

export const antiAffinity: Filter = {
  rule: "anti-affinity",
  prepare: (subject) =>
    [...ownObstacles(subject), ...foreignObstacles(subject)].map(
      (obstacle) => (node) => findingAt(node, obstacle),
    ),
  looksBeyond: ({ ask, cluster }) =>
    (ask.antiAffinities ?? []).some((each) => each.required) || cluster.isRefused(ask.service),
  reaches: ({ ask, cluster }) => {
    const own = (ask.antiAffinities ?? [])
      .filter((each) => each.required)
      .map(({ service, level, max = 0 }) => {
        const tasks = cluster.tasksByDomain(service, level);
        const refuses = (domain: string) => (tasks.get(domain) ?? 0) > max;
        return reachOf(level, refuses, () => cluster.nodesOfService(service));
      });
    const foreign = [...cluster.refusalsOf(ask.service)].map((kind) => {
      const avoiders = cluster.refusalsByDomain(ask.service, kind);
      const copies = cluster.tasksByDomain(ask.service, kind.level);
      const refuses = (domain: string) =>
        avoiders.has(domain) && (copies.get(domain) ?? 0) > kind.bearable;
      return reachOf(kind.level, refuses, () => nodesOf(cluster.avoiders(ask.service), cluster));
    });
    return [...own, ...foreign];
  },
  describe: ({ count, about, holder, holders }) => {
    const { service, level } = neighbourOf(about);
    const who = holder === undefined ? service : `${service} (${whoHolds(holder, holders)})`;
    const shares = level === "node" ? verb(count, "runs", "run") : verb(count, "shares", "share");
    const where = level === "node" ? who : `the ${level} with ${who}`;
    return `${shares} ${where}, from which it is kept apart`;
  },
  remedy: ({ about, holder, holders }) => {
    const { service, level } = neighbourOf(about);
    const who = holder === undefined ? service : whoHolds(holder, holders);
    return `${who} were in another ${level}`;
  },
};

/** What lies in no domain has no neighbours and is accepted. */
function reachOf(
  level: string,
  refuses: (domain: string) => boolean,
  refusable: () => Iterable<NodeState>,
): Reach {
  const domain = domainReader(level);
  const admits = ({ model }: NodeState) => {
    const own = domain(model);
    return own === undefined || !refuses(own);
  };
  return { level, admits, refusable };
}

function nodesOf(tasks: readonly Held[], cluster: Subject["cluster"]): readonly NodeState[] {
  return tasks.flatMap((task) => cluster.node(task.node) ?? []);
}

/** Domain to the tasks in it that keep others out, for one affinity and level. */
interface Obstacle {
  readonly level: string;
  readonly about: string;
  readonly domains: ReadonlyMap<string, readonly string[]>;
}

function ownObstacles({ ask, cluster }: Subject): readonly Obstacle[] {
  return (ask.antiAffinities ?? [])
    .filter((each) => each.required)
    .map(({ service, level, max = 0 }) => ({
      level,
      about: neighbour(service, level),
      domains: crowded(occupied(cluster.serviceTasks(service), level, cluster), max),
    }))
    .filter((obstacle) => obstacle.domains.size > 0);
}

/** Domains in which more than `max` tasks are. */
function crowded(domains: Obstacle["domains"], max: number): Obstacle["domains"] {
  return max === 0 ? domains : new Map([...domains].filter(([, ids]) => ids.length > max));
}

interface Avoiders {
  readonly service: string;
  readonly level: string;
  readonly max: number;
  readonly tasks: Held[];
}

function foreignObstacles(subject: Subject): readonly Obstacle[] {
  const { ask, cluster } = subject;
  const groups = new Map<string, Avoiders>();
  for (const task of cluster.avoiders(ask.service)) {
    for (const each of task.claims.antiAffinities ?? []) {
      if (!each.required || each.service !== ask.service) continue;
      const { level, max = 0 } = each;
      const key = JSON.stringify([task.claims.service, level, max]);
      const group = groups.get(key);
      if (group !== undefined) group.tasks.push(task);
      else groups.set(key, { service: task.claims.service, level, max, tasks: [task] });
    }
  }
  return [...groups]
    .sort(([a], [b]) => compareText(a, b))
    .map(([, group]) => foreignObstacle(group, subject));
}

/** The domains of those who avoid the ask's service, as far as they bear no further copy of it. */
function foreignObstacle(avoiders: Avoiders, { ask, cluster }: Subject): Obstacle {
  const { service, level, max, tasks } = avoiders;
  const domains = occupied(tasks, level, cluster);
  const about = neighbour(service, level);
  if (max === 0) return { level, about, domains };
  const copies = occupied(cluster.serviceTasks(ask.service), level, cluster);
  // Towards its own service a task counts the others, of which the ask will be one.
  const bearable = service === ask.service ? max : max - 1;
  const full = [...domains].filter(([name]) => (copies.get(name)?.length ?? 0) > bearable);
  return { level, about, domains: new Map(full) };
}

/** Domains of `tasks`, each with the ids of those in it. */
function occupied(tasks: readonly Held[], level: string, cluster: Subject["cluster"]) {
  const domains = new Map<string, string[]>();
  for (const task of tasks) {
    const node = cluster.node(task.node);
    const domain = node === undefined ? undefined : domainOf(node.model, level);
    if (domain === undefined) continue;
    const ids = domains.get(domain);
    if (ids === undefined) domains.set(domain, [task.claims.id]);
    else ids.push(task.claims.id);
  }
  return domains;
}

function findingAt(node: NodeState, { level, about, domains }: Obstacle): Finding | undefined {
  const domain = domainOf(node.model, level);
  const ids = domain === undefined ? undefined : domains.get(domain);
  return ids === undefined ? undefined : { about, ...holdersOf(ids) };
}
