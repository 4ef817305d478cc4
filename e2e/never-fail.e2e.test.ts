/**
 * Requests that never fail, shortened: the whole is `script/bench never`. Five kinds of clients, outside through
 * the route and inside by name, while everything is replaced, broken and killed.
 */

import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Kind } from "./load/client-program.ts";
import type { DisturbanceName } from "./load/disturbances.ts";
import {
  CLIENTS,
  failedOf,
  type NeverFailReport,
  neverFail,
  reportLines,
} from "./load/never-fail.ts";
import { TestPlatform } from "./test-platform.ts";

const ENGINE_SOCKET = "/var/run/docker.sock";
/** Each of the whole plan's disturbances once, those that bite in a rollout within one. */
const PLAN: readonly DisturbanceName[] = [
  "rollout",
  "HAProxy reloaded",
  "scale out",
  "net killed",
  "scale in",
  "agent killed in a rollout",
  "ready probe fails",
  "server killed",
  "live probe fails",
  "net killed in a rollout",
  "pause and resume",
  "rollback",
  "restart",
];
const KILLS = 2;

const platforms: TestPlatform[] = [];

after(async () => {
  for (const platform of platforms) await platform.uninstall();
});

async function run(
  options: Pick<Parameters<typeof neverFail>[0], "manner" | "plan" | "requestsMin" | "kills">,
): Promise<NeverFailReport> {
  const platform = await TestPlatform.prepare();
  platforms.push(platform);
  platform.useBundle();
  await platform.startPlatform();
  const rest = { engineSocket: ENGINE_SOCKET, drainMs: 3_000, pauseMs: 15, say: () => {} };
  const report = await neverFail({ platform, ...options, ...rest });
  await platform.must("stack", "rm", "never", "--yes", "--detach");
  return report;
}

/** Kinds of a place with failures, and how many: what should be empty. */
function failed(report: NeverFailReport, place: "outside" | "inside", kinds: readonly Kind[]) {
  return kinds
    .map((kind) => [kind, failedOf(report[place].kinds[kind])] as const)
    .filter(([, count]) => count > 0);
}

const ALL: readonly Kind[] = [
  "keep-alive",
  "new-connection",
  "slow-body",
  "web-socket",
  "resolved-once",
];

test("a program that ends with care loses no request, whatever is done meanwhile", async () => {
  const report = await run({ manner: "well", plan: PLAN, requestsMin: 20_000, kills: KILLS });
  const words = reportLines(report).join("\n");
  assert.deepEqual(failed(report, "outside", ALL), [], words);
  assert.deepEqual(failed(report, "inside", ALL), [], words);
  assert.deepEqual(report.watched.violations, [], words);
  assert.deepEqual(report.unwell, [], words);
  for (const [source, looks] of Object.entries(report.watched.looks)) {
    assert.ok(looks > 10, `${source} was watched: ${words}`);
  }
  const { outside } = report.killed;
  // Through the route what may be repeated is repeated; the rest is what the container was holding.
  assert.deepEqual(
    [outside["keep-alive"], outside["new-connection"], outside["resolved-once"]],
    [0, 0, 0],
    words,
  );
  for (const kind of ["slow-body", "web-socket"] as const) {
    assert.ok(outside[kind] <= CLIENTS[kind] * KILLS, words);
  }
});

test("a program that ends at once loses what outlasts the drain, and nothing else", async () => {
  const plan: DisturbanceName[] = ["rollout", "scale out", "scale in", "restart"];
  const report = await run({ manner: "naive", plan, requestsMin: 0, kills: 0 });
  const words = reportLines(report).join("\n");
  const short: readonly Kind[] = ["new-connection", "slow-body", "resolved-once"];
  assert.deepEqual(failed(report, "outside", [...short, "keep-alive"]), [], words);
  assert.deepEqual(failed(report, "inside", short), [], words);
  assert.deepEqual(report.watched.violations, [], words);
});
