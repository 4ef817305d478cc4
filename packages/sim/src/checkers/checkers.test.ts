/** Every checker speaks when the cluster is damaged in the way that it watches for. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Mutation } from "../cluster.ts";
import { type RunOptions, runSeed } from "../run-seed.ts";
import {
  backwardStatuses,
  FORGIVING,
  faultyCode,
  forgetfulStore,
  gappyWatch,
  HASTY_NODE,
  HASTY_SERVER,
  HOARDING_ENGINE,
  IMPATIENT,
  INFLATED_NODES,
  KEPT_MEMBERS,
  LOST_ATTACHMENTS,
  LYING_ENGINE,
  LYING_HOOK,
  NO_DEADLINE,
  NO_NODE_ADDRESSES,
  ONE_ADDRESS,
  TWINS,
} from "../testing/mutations.ts";

/** Damage is common, so that the first seeds show it. */
const SEEDS_MAX = 8;

const CASES: readonly {
  readonly checker: string;
  readonly damage: string;
  readonly mutation: () => Mutation;
  readonly options?: RunOptions;
  /** Of damage that few seeds show: the first of them that does. 1 by default. */
  readonly from?: number;
}[] = [
  { checker: "slots", damage: "every new task has a twin", mutation: () => TWINS },
  {
    checker: "exclusive",
    damage: "the engine says that containers have ended which run on",
    mutation: () => LYING_ENGINE,
    options: { shapes: ["db", "shards"] },
  },
  {
    checker: "exclusive",
    damage: "the fence hook says of hosts that they are off which run on",
    mutation: () => LYING_HOOK,
    options: { shapes: ["single", "single", "single"] },
    from: 7,
  },
  {
    checker: "exclusive",
    damage: "agents do not end what another node is given after the deadline",
    mutation: () => NO_DEADLINE,
    options: { shapes: ["single", "single", "single"] },
    from: 7,
  },
  { checker: "patience", damage: "mass outages are not believed", mutation: () => IMPATIENT },
  { checker: "flapping", damage: "silences are forgotten", mutation: () => FORGIVING },
  {
    checker: "room",
    damage: "a server takes nodes for ten times as large as they say",
    mutation: () => INFLATED_NODES,
  },
  {
    checker: "addresses",
    damage: "every task of a network gets the same address",
    mutation: () => ONE_ADDRESS,
  },
  {
    checker: "healthy",
    damage: "a server takes copies for ready as soon as they run",
    mutation: () => HASTY_SERVER,
    options: { shapes: ["web", "web", "web"] },
  },
  {
    checker: "endpoints",
    damage: "a node sends to copies that are not ready",
    mutation: () => HASTY_NODE,
  },
  {
    checker: "attachments",
    damage: "a data plane loses addresses",
    mutation: () => LOST_ATTACHMENTS,
  },
  {
    checker: "removed",
    damage: "a server is not told that a node was removed",
    mutation: () => KEPT_MEMBERS,
  },
  {
    checker: "growth",
    damage: "an engine keeps containers that it says are removed",
    mutation: () => HOARDING_ENGINE,
  },
  {
    checker: "reach",
    damage: "addresses of nodes are given out and not written",
    mutation: () => NO_NODE_ADDRESSES,
  },
  {
    checker: "leaving",
    damage: "the data plane says that it follows as soon as it is told",
    mutation: () => ({ netLies: true }),
  },
  { checker: "acknowledged", damage: "the store loses writes", mutation: forgetfulStore },
  { checker: "forward", damage: "a report that goes back is taken", mutation: backwardStatuses },
  { checker: "converges", damage: "watches have gaps", mutation: gappyWatch },
  { checker: "own-code", damage: "a controller throws a TypeError", mutation: faultyCode },
];

for (const { checker, damage, mutation, options, from = 1 } of CASES) {
  test(`${checker} speaks when ${damage}`, async () => {
    const spoke: string[] = [];
    for (let seed = from; seed < from + SEEDS_MAX && !spoke.includes(checker); seed++) {
      const { violations } = await runSeed(seed, {
        ...{ scale: "medium", machines: 3 },
        ...options,
        mutation: mutation(),
      });
      spoke.push(...violations.map((violation) => violation.checker));
    }
    assert.ok(spoke.includes(checker), `only ${[...new Set(spoke)].join(", ")} spoke`);
  });
}
