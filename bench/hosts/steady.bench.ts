/**
 * Nothing is given up while nothing is broken: three hosts with copies on each, all processors busy, and a server that
 * stands still for 3 s now and then. No node may be taken for silent and no container may be replaced.
 *
 *     node bench/hosts/steady.bench.ts [--minutes N] [--pause SECONDS] [--seed N] [--json]
 *
 * In the end a host is cut off for real: the same look must find it, else it would never have found anything.
 */

import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { availableParallelism, loadavg } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { Prng } from "@berth/base";
import { isStopped, pidsOf, signal } from "../../e2e/platform-processes.ts";
import { eventually } from "../../e2e/test-platform.ts";
import { PROBED_PORT } from "./prober.ts";
import { bootThreeHosts, IMAGE, type ThreeHosts } from "./three-hosts.ts";

const COPIES = 6;
/** Programs that never rest, for each processor. */
const BUSY_PER_PROCESSOR = 2;
const BETWEEN_PAUSES_MS_MIN = 5_000;
const BETWEEN_PAUSES_MS_MAX = 30_000;
const STACK = "steady";

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "60" },
    pause: { type: "string", default: "3" },
    seed: { type: "string", default: "1" },
    json: { type: "boolean", default: false },
  },
});

interface Look {
  /** Container identifiers of all hosts, in order. */
  readonly containers: readonly string[];
  /** What the cluster says of nodes that fell silent or came back. */
  readonly silences: readonly string[];
}

function composeFile(): string {
  const serve = `mkdir /www; echo ok > /www/index.html; exec httpd -f -p ${PROBED_PORT} -h /www`;
  const web = {
    ...{ image: IMAGE, command: ["sh", "-c", serve], stop_signal: "SIGKILL" },
    ...{ expose: [String(PROBED_PORT)], deploy: { replicas: COPIES } },
  };
  return JSON.stringify({ services: { web } });
}

interface ClusterEvent {
  readonly kind: string;
  readonly message: string;
}

async function look({ lab, first }: ThreeHosts): Promise<Look> {
  const label = `label=berth.service=default/main/${STACK}/web`;
  const containers = lab.hosts.flatMap((host) =>
    host.docker("ps", "-q", "--filter", label).trim().split("\n"),
  );
  const events = await first.json<ClusterEvent>("events", "--cluster");
  return {
    containers: containers.filter((id) => id !== "").sort(),
    silences: events.map(({ message }) => message).filter((text) => /silent|contact/.test(text)),
  };
}

function busy(): ChildProcess[] {
  const count = BUSY_PER_PROCESSOR * availableParallelism();
  return Array.from({ length: count }, () =>
    spawn(process.execPath, ["-e", "for (;;);"], { stdio: "ignore" }),
  );
}

async function pauseServer({ first }: ThreeHosts, pauseMs: number): Promise<void> {
  const [pid] = pidsOf(join(first.folder, "data"), "server");
  assert.ok(pid !== undefined, "the server runs");
  signal(pid, "SIGSTOP");
  try {
    await eventually("the server stands still", () => isStopped(pid));
    await delay(pauseMs);
  } finally {
    signal(pid, "SIGCONT");
  }
}

async function hold(hosts: ThreeHosts): Promise<{ readonly pauses: number; readonly last: Look }> {
  const prng = new Prng(Number(values.seed));
  const untilMs = performance.now() + Number(values.minutes) * 60_000;
  const before = await look(hosts);
  assert.equal(before.containers.length, COPIES);
  let pauses = 0;
  let last = before;
  while (performance.now() < untilMs) {
    const range = BETWEEN_PAUSES_MS_MAX - BETWEEN_PAUSES_MS_MIN;
    await delay(BETWEEN_PAUSES_MS_MIN + prng.float() * range);
    await pauseServer(hosts, Number(values.pause) * 1_000);
    pauses++;
    last = await look(hosts);
    if (!values.json) {
      const load = loadavg()[0]?.toFixed(1);
      console.error(`pause ${pauses}: load ${load}, ${last.silences.length} silences`);
    }
    assert.deepEqual(last, before, `after pause ${pauses}`);
  }
  return { pauses, last };
}

const hosts = await bootThreeHosts();
const programs: ChildProcess[] = [];
try {
  await hosts.first.deploy(STACK, composeFile());
  programs.push(...busy());
  const { pauses, last } = await hold(hosts);
  const [victim] = hosts.others;
  await victim.cable("down");
  let found = last;
  await eventually(
    "a host that is really cut off is found",
    async () => {
      found = await look(hosts);
      return found.containers.join() !== last.containers.join() && found.silences.length > 0;
    },
    120_000,
  );
  const figures = {
    ...{
      bench: "steady",
      minutes: Number(values.minutes),
      pauses,
      pauseSeconds: Number(values.pause),
    },
    ...{ falseSilences: last.silences.length, replaced: 0, load: loadavg()[0] },
  };
  if (values.json) console.log(JSON.stringify(figures));
  else {
    console.log(
      `${figures.minutes} minutes, ${pauses} pauses of ${values.pause} s, load ${figures.load?.toFixed(1)}: no node silent, no container replaced`,
    );
    console.log(`then one host cut off: ${found.silences.at(-1)}`);
  }
} finally {
  for (const program of programs) program.kill("SIGKILL");
  await hosts.lab.destroy();
}
process.exit();
