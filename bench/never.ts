/**
 * `script/bench never`: the whole of the never-fail test (e2e/load) on a host of its own.
 *
 *     --requests N        at least so many; a million unless said
 *     --manner naive      a program that ends at once when it is asked to
 *     --only NAME,NAME    these disturbances, each once, instead of all
 *     --seed N --json
 */

import { parseArgs } from "node:util";
import { Prng } from "@berth/base";
import { DISTURBANCES, type DisturbanceName } from "../e2e/load/disturbances.ts";
import { failuresOf, neverFail, reportLines } from "../e2e/load/never-fail.ts";
import { TestPlatform } from "../e2e/test-platform.ts";
import { BenchHost, removeHost } from "./bench-host.ts";

/** How often each happens; what follows another at once stands with it. Together 100 rollouts. */
const PLAN: readonly (readonly [times: number, ...names: DisturbanceName[]])[] = [
  [60, "rollout"],
  [10, "rollback"],
  [10, "agent killed in a rollout"],
  [10, "net killed in a rollout"],
  [10, "server killed in a rollout"],
  [20, "scale out", "scale in"],
  [10, "restart"],
  [10, "ready probe fails"],
  [10, "live probe fails"],
  [10, "pause and resume"],
  [10, "agent killed"],
  [10, "net killed"],
  [10, "server killed"],
  [20, "HAProxy reloaded"],
];
const KILLS = 5;

function wholePlan(seed: number): DisturbanceName[] {
  const steps = PLAN.flatMap(([times, ...names]) => Array.from({ length: times }, () => names));
  const prng = new Prng(seed);
  return steps
    .map((names) => ({ names, at: prng.float() }))
    .sort((a, b) => a.at - b.at)
    .flatMap(({ names }) => names);
}

function isDisturbance(name: string): name is DisturbanceName {
  return Object.hasOwn(DISTURBANCES, name);
}

const { values } = parseArgs({
  options: {
    requests: { type: "string", default: "1000000" },
    manner: { type: "string", default: "well" },
    only: { type: "string" },
    seed: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
  },
});
const only = values.only?.split(",");
const unknown = only?.find((name) => !isDisturbance(name));
if (unknown !== undefined) {
  console.error(`unknown: ${unknown}; one of ${Object.keys(DISTURBANCES).join(", ")}`);
  process.exit(2);
}
const host = await BenchHost.make();
const platform = await TestPlatform.prepare();
platform.useBundle();
await platform.startPlatform(["--engine-socket", host.socket]);
const report = await neverFail({
  platform,
  engineSocket: host.socket,
  manner: values.manner === "naive" ? "naive" : "well",
  plan: only?.filter(isDisturbance) ?? wholePlan(Number(values.seed)),
  requestsMin: Number(values.requests),
  kills: KILLS,
  drainMs: 3_000,
  pauseMs: 8,
  say: (line) => console.error(line),
});
if (values.json) console.log(JSON.stringify(report));
else for (const line of reportLines(report)) console.log(line);
await platform.uninstall();
removeHost(host);
process.exit(failuresOf(report.outside) + failuresOf(report.inside) === 0 ? 0 : 1);
