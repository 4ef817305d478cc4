/**
 * Random routes and requests against a real HAProxy, for as long as one wishes:
 *
 *     sudo node packages/network/fuzz/routes.ts --seconds 3600 --seed 1
 *
 * Each round has a seed of its own, printed when something is found: a request that took another route than
 * the slow matcher says, no answer, or a HAProxy that is not the one that the round began with. Ends with code 1
 * then; says every minute how far it is. Runs in a network namespace of its own (needs root).
 */

import { execFileSync, spawnSync } from "node:child_process";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Prng } from "@berth/base";
import {
  expectedAnswer,
  RawClient,
  randomBytesRequest,
  randomPlainRoutes,
  randomRequest,
  randomRoutes,
} from "../e2e/route-oracle.ts";
import { type RoutesLab, routesLab } from "../e2e/routes-lab.ts";

const INSIDE = "BERTH_FUZZ_INSIDE";
const ROUTES_MAX = 120;
const REQUESTS_PER_ROUND = 2_000;
/** One round of so many has routes that one lookup finds. */
const PLAIN_EVERY = 3;
/** One request of so many has bytes of any kind in it, which HAProxy may refuse. */
const BYTES_EVERY = 4;
const REPORT_EVERY_MS = 60_000;

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "10" },
    seed: { type: "string", default: "1" },
  },
});

if (process.env[INSIDE] === "1") {
  execFileSync("ip", ["link", "set", "lo", "up"]);
  const lab = routesLab();
  test("every request takes its route", async () => {
    await lab.net.start();
    await rounds(lab, Number(values.seed), Number(values.seconds) * 1_000);
  });
} else {
  const args = ["-n", process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const result = spawnSync("unshare", args, {
    env: { ...process.env, [INSIDE]: "1" },
    stdio: "inherit",
  });
  process.exitCode = result.status ?? 1;
}

async function rounds(lab: RoutesLab, firstSeed: number, durationMs: number): Promise<void> {
  const from = performance.now();
  const counts: Counts = { requests: 0, refused: 0 };
  let reportedMs = from;
  let seed = firstSeed;
  const report = () => {
    const { requests, refused } = counts;
    process.stdout.write(
      `${Math.round((performance.now() - from) / 1_000)} s, seeds ${firstSeed} to ${seed}: ${requests} requests, ` +
        `each took its route or was refused (${refused} with bytes that no host or path has)\n`,
    );
    reportedMs = performance.now();
  };
  for (; performance.now() - from < durationMs; seed++) {
    await round(lab, seed, counts);
    if (performance.now() - reportedMs >= REPORT_EVERY_MS) report();
  }
  seed--;
  report();
}

interface Counts {
  requests: number;
  refused: number;
}

async function round(lab: RoutesLab, seed: number, counts: Counts): Promise<void> {
  const prng = new Prng(seed);
  const random = seed % PLAIN_EVERY === 0 ? randomPlainRoutes : randomRoutes;
  const routes = random(prng, prng.int(1, ROUTES_MAX));
  const problems = await lab.apply(routes);
  const unexpected = problems.find(({ code }) => code !== "route_clash");
  if (unexpected !== undefined) fail(seed, JSON.stringify(unexpected));
  const { ingressPid } = await lab.net.client.status();
  // A connection from before the reload gets one more answer by the routes from before.
  const client = new RawClient();
  for (let index = 0; index < REQUESTS_PER_ROUND; index++) {
    const bytes = index % BYTES_EVERY === 0;
    const request = bytes ? randomBytesRequest(prng) : randomRequest(prng);
    const expected = expectedAnswer(routes, request);
    const answer = await client.ask(request);
    counts.requests++;
    if (bytes && answer === "400") counts.refused++;
    else if (answer !== expected) {
      fail(seed, `${JSON.stringify(request)} took ${answer}, should have taken ${expected}`);
    }
  }
  client.close();
  const ended = await lab.net.client.status();
  if (ended.ingressPid !== ingressPid) fail(seed, "HAProxy has ended in between");
}

function fail(seed: number, what: string): never {
  throw new RangeError(`seed ${seed}: ${what}`);
}
