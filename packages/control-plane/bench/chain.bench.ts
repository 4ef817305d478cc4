/**
 * The chain of decision without agents: how long the control plane takes from a file to tasks, and for one
 * look at a stack that is at rest. Store in memory; work is checked before it is timed.
 *
 *     node packages/control-plane/bench/chain.bench.ts
 */

import { assert } from "@berth/base";
import { keys, type StackScope } from "@berth/protocol";
import { packUnits } from "../src/plan/unit.ts";
import { acceptDeployment } from "../src/release/accept-deployment.ts";
import { deploymentStep } from "../src/release/deployment-step.ts";
import { serviceSpec, stackSpec } from "../src/testing/specs.ts";
import { TableCluster } from "../src/testing/table-cluster.ts";

interface Case {
  readonly nodes: number;
  readonly stacks: number;
  readonly services: number;
  readonly copies: number;
}

const CASES: readonly Case[] = [
  { nodes: 1, stacks: 1, services: 1, copies: 1 },
  { nodes: 1, stacks: 1, services: 1, copies: 100 },
  { nodes: 1, stacks: 1, services: 20, copies: 1 },
  { nodes: 100, stacks: 10, services: 10, copies: 10 },
  { nodes: 100, stacks: 1, services: 1, copies: 1_000 },
  { nodes: 1_000, stacks: 100, services: 10, copies: 5 },
];

for (const each of CASES) run(each);

function run({ nodes, stacks, services, copies }: Case): void {
  const cluster = new TableCluster();
  for (let node = 0; node < nodes; node++) cluster.addNode(`node-${node}`, {}, 2 ** 36);
  const names = Array.from({ length: stacks }, (_, index) => `stack-${index}`);
  const started = performance.now();
  for (const name of names) deploy(cluster, scopeOf(name), services, copies);
  for (const name of names) while ((cluster.look(scopeOf(name))?.writes ?? 0) > 0);
  const deployedMs = performance.now() - started;
  const wanted = stacks * services * copies;
  assert(cluster.view.tasks.size === wanted, `${cluster.view.tasks.size} of ${wanted} tasks`);
  const again = performance.now();
  for (const name of names) assert(cluster.look(scopeOf(name))?.writes === 0, "at rest");
  const lookMs = (performance.now() - again) / stacks;
  console.log(
    `${nodes} nodes, ${stacks} x ${services} x ${copies} = ${wanted} tasks: ` +
      `${deployedMs.toFixed(0)} ms, ${((deployedMs / wanted) * 1_000).toFixed(0)} us a task; ` +
      `a look at rest ${lookMs.toFixed(2)} ms`,
  );
}

function scopeOf(stack: string): StackScope {
  return { project: "default", environment: "main", stack };
}

function deploy(cluster: TableCluster, scope: StackScope, services: number, copies: number): void {
  const spec = stackSpec(
    Object.fromEntries(
      Array.from({ length: services }, (_, index) => [`service-${index}`, serviceSpec({ copies })]),
    ),
  );
  const { view, now, settings, ids } = cluster;
  const id = `deploy${scope.stack.replace("-", "")}`;
  const request = { scope, spec, secrets: {}, actor: "bench", now, id };
  const decision = acceptDeployment(view, request, settings);
  assert(decision.kind === "accepted" && cluster.apply(decision.txn), "accepted");
  for (let step = 0; step < 2; step++) {
    const deployment = view.deployments.get(keys.deployment(scope, id));
    assert(deployment !== undefined, "the deployment is there");
    const unit = deploymentStep({ view, deployment, now, newId: ids.identifier, settings });
    for (const { txn } of unit === undefined ? [] : packUnits([unit], [])) cluster.apply(txn);
    cluster.finishOperations();
  }
}
