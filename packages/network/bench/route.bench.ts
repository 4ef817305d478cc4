/**
 * Requests per second through a Berth route against a HAProxy configuration written by hand, with the same
 * copies behind both, in turns; and what 5,000 routes cost against one.
 *
 *     node packages/network/bench/route.bench.ts [--pairs 12] [--seconds 3] [--routes 5000] [--json]
 *
 * In a network namespace of its own (needs root). Needs wrk. No request may fail. By hand means three things: a
 * log and the forwarded headers, as most people have it; the same with the retries that Berth promises (an idempotent request
 * is repeated when its copy dies); and the least that works, without a log. Berth is always as it comes. A last row has a
 * copy added and removed all the time, and `net`'s work for that is on the same processors: HAProxy must not be reloaded for it. Beside requests per second: processor time of HAProxy for each request, which other load disturbs less.
 */

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { endpoint } from "../e2e/lab.ts";
import { type RoutesLab, route, routesLab } from "../e2e/routes-lab.ts";
import { lowerBound, mean } from "./paired.ts";

const INSIDE = "BERTH_BENCH_INSIDE";
const COPIES = 3;
const CONNECTIONS = 50;
/** Configurations by hand, each with its port. */
const HANDS = {
  usual: { port: 8001, log: true, headers: true, retries: false },
  retrying: { port: 8002, log: true, headers: true, retries: true },
  least: { port: 8003, log: false, headers: false, retries: false },
} as const;
type HandName = keyof typeof HANDS;
const BERTH_PORT = 8000;
/** Of what the other side does, at the lower 95 % bound. */
const GOAL = 0.95;
/** Of \`/proc/PID/stat\`: a hundredth of a second. */
const TICK_MICROS = 10_000;
/** Between two changes of the copies while Berth is measured. */
const SCALE_EVERY_MS = 100;

const { values } = parseArgs({
  options: {
    pairs: { type: "string", default: "12" },
    seconds: { type: "string", default: "3" },
    routes: { type: "string", default: "5000" },
    json: { type: "boolean", default: false },
  },
});

if (process.env[INSIDE] === "1") {
  execFileSync("ip", ["link", "set", "lo", "up"]);
  const lab = routesLab();
  test("requests through a route", async () => {
    const folder = mkdtempSync(`${tmpdir()}/bbench-`);
    const hands = {
      usual: startHand(folder, "usual"),
      retrying: startHand(folder, "retrying"),
      least: startHand(folder, "least"),
    };
    const children = [startCopies(folder), ...Object.values(hands)];
    try {
      await lab.net.start();
      await measure(lab, (name) => wrk(HANDS[name].port, [hands[name].pid ?? -1]));
    } finally {
      for (const child of children) child.kill("SIGKILL");
      rmSync(folder, { recursive: true });
    }
  });
} else {
  const args = ["-n", process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const env = { ...process.env, [INSIDE]: "1" };
  process.exitCode = spawnSync("unshare", args, { env, stdio: "inherit" }).status ?? 1;
}

/** Copies that answer at once: a HAProxy of their own, faster than what is measured. */
function startCopies(folder: string): ChildProcess {
  const copies = Array.from(
    { length: COPIES + 1 },
    (_, index) => `bind 127.77.1.${index + 1}:8080`,
  );
  return startHaproxy(folder, "copies", [
    "frontend copies",
    ...copies.map((line) => `  ${line}`),
    '  http-request return status 200 content-type text/plain string "ok"',
  ]);
}

/** What somebody who knows HAProxy writes for one host and three servers. */
function startHand(folder: string, name: HandName): ChildProcess {
  const { port, log, headers, retries } = HANDS[name];
  const servers = Array.from(
    { length: COPIES },
    (_, index) => `  server s${index} 127.77.1.${index + 1}:8080`,
  );
  return startHaproxy(folder, name, [
    "frontend http",
    `  bind 127.0.0.1:${port}`,
    ...(log ? ["  log stdout format raw daemon info", "  option httplog"] : []),
    ...(headers
      ? [
          "  option forwardfor",
          "  http-request set-header X-Forwarded-Proto http",
          "  http-request set-header X-Forwarded-Host %[req.hdr(Host)]",
        ]
      : []),
    "  use_backend web if { hdr(host) -i shop.test }",
    "backend web",
    "  balance leastconn",
    "  option redispatch 1",
    "  retries 3",
    ...(retries
      ? [
          "  retry-on conn-failure empty-response",
          "  http-request disable-l7-retry unless { method GET HEAD OPTIONS }",
        ]
      : []),
    ...servers,
  ]);
}

function startHaproxy(folder: string, name: string, lines: readonly string[]): ChildProcess {
  const path = `${folder}/${name}.cfg`;
  const defaults = [
    "global",
    "  maxconn 4000",
    "defaults",
    "  mode http",
    "  timeout connect 1s",
  ].concat(["  timeout client 1m", "  timeout server 1m"]);
  writeFileSync(path, `${[...defaults, ...lines].join("\n")}\n`);
  const log = openSync(`${folder}/${name}.log`, "a");
  // A session of its own, as Berth's has: the kernel shares processors between sessions.
  const child = spawn("haproxy", ["-db", "-f", path], {
    stdio: ["ignore", log, "inherit"],
    detached: true,
  });
  closeSync(log);
  return child;
}

async function measure(lab: RoutesLab, hand: (name: HandName) => Promise<Run>): Promise<void> {
  const pairs = Number(values.pairs);
  const routes = [route("bench")];
  const copies = Array.from({ length: COPIES }, (_, index) => endpoint(index + 1));
  await lab.apply(routes, { endpoints: copies });
  const berth = async () => wrk(BERTH_PORT, await workersOf(lab));
  await berth();
  const runs: Record<HandName, Run[]> = { usual: [], retrying: [], least: [] };
  const names: HandName[] = ["usual", "retrying", "least"];
  const ours: Run[] = [];
  const scaling: Run[] = [];
  for (const name of names) await hand(name);
  const before = await lab.reloads();
  for (let pair = 0; pair < pairs; pair++) {
    // In turns, each first as often as the other; Berth in the middle, next to the one that matters most.
    const steps = [
      async () => runs.retrying.push(await hand("retrying")),
      async () => runs.usual.push(await hand("usual")),
      async () => ours.push(await berth()),
      async () => runs.least.push(await hand("least")),
      async () => {
        await lab.apply(routes, { endpoints: copies });
        scaling.push(await whileScaling(lab, routes, berth));
        await lab.apply(routes, { endpoints: copies });
      },
    ];
    for (const step of pair % 2 === 0 ? steps : steps.reverse()) await step();
  }
  assert.equal(await lab.reloads(), before, "HAProxy was reloaded while copies came and went");
  report("a route against a configuration by hand (log, headers)", ours, runs.usual);
  report("a route against one with the same retries", ours, runs.retrying);
  report("a route against the least (no log, no headers)", ours, runs.least);
  report("the same route while copies come and go, against itself", scaling, ours);

  const many = Array.from({ length: Number(values.routes) }, (_, index) =>
    route(`many${index}`, { hosts: [`h${index}.example.test`], pathPrefix: `/p${index % 50}` }),
  );
  const one: Run[] = [];
  const crowd: Run[] = [];
  for (let pair = 0; pair < pairs; pair++) {
    await lab.apply(routes, { endpoints: copies });
    one.push(await berth());
    const from = performance.now();
    await lab.apply([...many, ...routes], { endpoints: copies });
    const appliedMs = performance.now() - from;
    crowd.push(await berth());
    if (pair === 0 && !values.json) {
      process.stdout.write(`${many.length} routes followed after ${appliedMs.toFixed(0)} ms\n`);
    }
  }
  report(`one of ${many.length + 1} routes against the only one`, crowd, one);
}

/** Processes of HAProxy that serve, without their master. */
async function workersOf(lab: RoutesLab): Promise<number[]> {
  const { ingressPid = -1 } = await lab.net.client.status();
  const children = readFileSync(`/proc/${ingressPid}/task/${ingressPid}/children`, "utf8");
  return children.trim().split(" ").map(Number);
}

/** Microseconds of processor time that each process has used; without those that have ended. */
function processorMicros(pids: readonly number[]): ReadonlyMap<number, number> {
  const used = new Map<number, number>();
  for (const pid of pids) {
    try {
      const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
      used.set(pid, (Number(fields[11]) + Number(fields[12])) * TICK_MICROS);
    } catch {
      // A worker of before a reload has ended.
    }
  }
  return used;
}

/** Adds and removes a copy all the time. */
async function whileScaling<T>(
  lab: RoutesLab,
  routes: Parameters<RoutesLab["apply"]>[0],
  work: () => Promise<T>,
): Promise<T> {
  let running = true;
  const scaling = (async () => {
    for (let more = true; running; more = !more) {
      const count = COPIES + (more ? 1 : 0);
      const endpoints = Array.from({ length: count }, (_, index) => endpoint(index + 1));
      await lab.apply(routes, { endpoints });
      await delay(SCALE_EVERY_MS);
    }
  })();
  try {
    return await work();
  } finally {
    running = false;
    await scaling;
  }
}

interface Run {
  readonly perSecond: number;
  readonly microsPerRequest: number;
}

/** Asks for some seconds; none may fail. */
async function wrk(port: number, pids: readonly number[]): Promise<Run> {
  const words = ["-t1", `-c${CONNECTIONS}`, `-d${values.seconds}s`, "-H", "Host: shop.test"];
  const before = processorMicros(pids);
  const child = spawn("wrk", [...words, `http://127.0.0.1:${port}/`]);
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
    said += chunk;
  });
  child.on("error", () => assert.fail("wrk is not there: apt-get install wrk"));
  await once(child, "close");
  let usedMicros = 0;
  for (const [pid, micros] of processorMicros(pids)) usedMicros += micros - (before.get(pid) ?? 0);
  assert.doesNotMatch(said, /Non-2xx|Socket errors/, said);
  const requests = Number(/^ *(\d+) requests in/m.exec(said)?.[1]);
  const perSecond = Number(/^Requests\/sec:\s+([\d.]+)$/m.exec(said)?.[1]);
  assert.ok(perSecond > 0 && requests > 0, said);
  return { perSecond, microsPerRequest: usedMicros / requests };
}

function report(what: string, berth: readonly Run[], peer: readonly Run[]): void {
  const compare = (value: (run: Run) => number, invert: boolean) => {
    const ratios = berth.map((run, index) => {
      const ratio = value(run) / value(peer[index] ?? run);
      return invert ? 1 / ratio : ratio;
    });
    return {
      berth: mean(berth.map(value)),
      peer: mean(peer.map(value)),
      ratio: mean(ratios),
      ratioLower95: lowerBound(ratios),
      ratios,
    };
  };
  const figures = {
    "requests/s": compare((run) => run.perSecond, false),
    "µs of processor a request": compare((run) => run.microsPerRequest, true),
  };
  if (values.json) {
    process.stdout.write(`${JSON.stringify({ what, goal: GOAL, figures })}\n`);
    return;
  }
  process.stdout.write(`${what} (goal ${GOAL})\n`);
  for (const [unit, figure] of Object.entries(figures)) {
    const ratios = figure.ratios.map((each) => each.toFixed(2)).join(" ");
    process.stdout.write(
      `  berth ${figure.berth.toFixed(1)}, peer ${figure.peer.toFixed(1)} ${unit}\n` +
        `  ratio ${figure.ratio.toFixed(3)}, lower 95 % bound ${figure.ratioLower95.toFixed(3)} (${ratios})\n`,
    );
  }
}
