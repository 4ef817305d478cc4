/**
 * A whole control plane under load: the real server, N light agents of the real protocol (HTTP, mutual TLS)
 * in other processes, M tasks spread over zones, from the submission of their stacks until all are reported running
 * and ready. On SQLite, and on three members of etcd with fsync.
 *
 * Meanwhile an API read is asked every 20 ms. The end is checked: every task is in the store, reported ready,
 * no address twice, copies of a service spread over zones.
 *
 * With `--warm N` the server has placed N other tasks before, in as large stacks: the figures of a server that has
 * run for a while, whose code is compiled. With `--lose N` N nodes fall silent in the end, and the time until all
 * their copies run elsewhere is measured; the first seconds of it are their lease.
 *
 * `script/bench cluster [--nodes 1000] [--tasks 10000] [--stacks 10] [--warm 0] [--lose 0]
 *  [--idle 3 (seconds)] [--store sqlite|etcd|both] [--agents 2 (processes)] [--profile FOLDER]`
 */

import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { assert, SECOND_MS, sleep, systemClock } from "@berth/base";
import type { TaskStatus, WatchEvent } from "@berth/protocol";
import { HttpClient } from "@berth/protocol/client/http-client";
import { freePorts, startEtcd } from "../e2e/etcd-lab.ts";
import { type ServerProcess, startServerProcess } from "../e2e/server-process.ts";
import type { AgentsFigures, AgentsOptions } from "./cluster-agents.ts";
import { checkTasks, tasksOf, untilReplaced } from "./cluster-checks.ts";
import { benchStack, type LightCluster, type Shape, seedCluster, shapeOf } from "./cluster-seed.ts";
import { untilOpen } from "./light-connection.ts";

const { values: flags } = parseArgs({
  options: {
    nodes: { type: "string", default: "1000" },
    tasks: { type: "string", default: "10000" },
    stacks: { type: "string", default: "10" },
    store: { type: "string", default: "both" },
    warm: { type: "string", default: "0" },
    lose: { type: "string", default: "0" },
    idle: { type: "string", default: "3" },
    agents: { type: "string", default: "2" },
    profile: { type: "string" },
    json: { type: "boolean", default: false },
  },
});

const PROBE_PERIOD_MS = 20;
/** On stderr, so that a run that stands still is seen to. */
const SAY_PERIOD_MS = 5_000;
const AGENTS = fileURLToPath(new URL("./cluster-agents.ts", import.meta.url));

interface Outcome {
  readonly store: string;
  readonly nodes: number;
  readonly stacks: number;
  readonly tasks: number;
  readonly seconds: number;
  readonly tasksPerSecond: number;
  readonly apiMsP50: number;
  readonly apiMsP99: number;
  /** From an agent's report to a client that watches. */
  readonly watchMsP50: number;
  readonly watchMsP99: number;
  readonly loopDelayMsP99: number;
  readonly loopDelayMsMax: number;
  readonly serverCpuMsPerTask: number;
  readonly loopCpuMsPerTask: number;
  readonly serverResidentMib: number;
  readonly idleResidentMib: number;
  readonly idleCpuShare: number;
  readonly eventsPerTask: number;
  readonly bytesPerTask: number;
  readonly agentsCpuMsPerTask: number;
  readonly toldMsP50: number;
  readonly toldMsP99: number;
  /** Only where nodes were lost. */
  readonly lost?: { readonly nodes: number; readonly tasks: number; readonly seconds: number };
}

async function measure(store: "sqlite" | "etcd", folder: string, url: string): Promise<Outcome> {
  const shape = shapeOf(Number(flags.tasks), Number(flags.stacks), "stack");
  const size = shape.services * shape.copies;
  const warm = shapeOf(Number(flags.warm), Number(flags.warm) / size, "warm");
  const dataDir = join(folder, `${store}-server`);
  const cluster = await seedCluster(dataDir, { url }, Number(flags.nodes));
  const profile = ["--cpu-prof", `--cpu-prof-dir=${flags.profile}`];
  const [clusterPort = 0] = await freePorts(1);
  const server = await startServerProcess({
    ...{ dataDir, clusterPort, nodeName: "server", store: { url } },
    ...(flags.profile === undefined ? {} : { nodeWords: profile }),
  });
  await untilOpen(clusterPort);
  const agents = await startAgents(clusterPort, cluster);
  try {
    const token = (await readFile(join(dataDir, "admin.token"), "utf8")).trim();
    const client = new HttpClient({ url: server.url, token });
    const idle = await idleFigures(server);
    if (warm.stacks > 0) await load(client, server, warm);
    await agents.figures();
    const run = await load(client, server, shape);
    const told = await agents.figures();
    await checkTasks(client, [shape, warm]);
    const lost = await lose(client, agents, tasksOf([shape, warm]));
    const { length: nodes } = cluster.nodes;
    return {
      store,
      nodes,
      stacks: shape.stacks,
      ...run,
      ...idle,
      ...agentsRows(told, run),
      ...(lost === undefined ? {} : { lost }),
    };
  } finally {
    agents.kill();
    if (flags.profile === undefined) await server.kill();
    else await server.stop();
  }
}

function agentsRows(told: readonly AgentsFigures[], { tasks }: { readonly tasks: number }) {
  const sum = (of: (figures: AgentsFigures) => number) =>
    told.reduce((total, each) => total + of(each), 0);
  const toldMs = told.flatMap((each) => each.toldMs).sort((a, b) => a - b);
  return {
    eventsPerTask: sum(({ events }) => events) / tasks,
    bytesPerTask: sum(({ bytes }) => bytes) / tasks,
    agentsCpuMsPerTask: sum(({ cpuMs }) => cpuMs) / tasks,
    toldMsP50: share(toldMs, 0.5),
    toldMsP99: share(toldMs, 0.99),
  };
}

function share(sorted: readonly number[], of: number): number {
  return sorted[Math.floor(sorted.length * of)] ?? Number.NaN;
}

async function startAgents(port: number, { nodes, authority, key }: LightCluster) {
  const count = Number(flags.agents);
  const children = Array.from({ length: count }, (_, index) => {
    const mine = nodes.filter((_node, at) => at % count === index);
    const options: AgentsOptions = { host: "127.0.0.1", port, authority, key, nodes: mine };
    const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", AGENTS], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    child.stdin.write(`${JSON.stringify(options)}\n`);
    // Without its agents a run would never end.
    child.once("exit", (code) => assert(child.killed, `the agents' process ended with ${code}`));
    return { child, lines: createInterface({ input: child.stdout })[Symbol.asyncIterator]() };
  });
  const begun = performance.now();
  for (const { lines } of children) assert((await lines.next()).value === "ready", "agents joined");
  console.error(
    `${nodes.length} agents joined in ${((performance.now() - begun) / 1_000).toFixed(1)} s`,
  );
  return {
    kill: () => {
      for (const { child } of children) child.kill("SIGKILL");
    },
    /** Ends so many agents without a word; returns the names of their nodes. */
    lose: (wanted: number): Set<string> => {
      const each = Math.ceil(wanted / count);
      for (const { child } of children) child.stdin.write(`lose ${each}\n`);
      return new Set(
        children.flatMap((_child, index) =>
          nodes
            .filter((_node, at) => at % count === index)
            .slice(0, each)
            .map(({ name }) => name),
        ),
      );
    },
    figures: async () => {
      for (const { child } of children) child.stdin.write("figures\n");
      const answers = children.map(async ({ lines }) => (await lines.next()).value as string);
      return (await Promise.all(answers)).map((line) => JSON.parse(line) as AgentsFigures);
    },
  };
}

/** Lets nodes fall silent and waits until their copies run elsewhere. */
async function lose(
  client: HttpClient,
  agents: Awaited<ReturnType<typeof startAgents>>,
  slots: number,
): Promise<Outcome["lost"]> {
  if (Number(flags.lose) === 0) return undefined;
  const begun = performance.now();
  const nodes = agents.lose(Number(flags.lose));
  const tasks = await untilReplaced(client, nodes, slots);
  return { nodes: nodes.size, tasks, seconds: (performance.now() - begun) / 1_000 };
}

/** Memory, and the share of one processor, that the server takes while nothing happens. */
async function idleFigures(server: ServerProcess) {
  await server.figures();
  const idleMs = Number(flags.idle) * SECOND_MS;
  await sleep(systemClock, idleMs);
  const { cpuMs, residentBytes } = await server.figures();
  return { idleCpuShare: cpuMs / idleMs, idleResidentMib: residentBytes / 2 ** 20 };
}

async function load(client: HttpClient, server: ServerProcess, shape: Shape) {
  const tasks = tasksOf([shape]);
  const ended = new AbortController();
  const delays: number[] = [];
  const allReady = untilReady(client, { shape, delays }, ended.signal);
  const latencies: number[] = [];
  const probing = probe(client, latencies, ended.signal);
  await server.figures();
  const start = performance.now();
  for (let index = 0; index < shape.stacks; index++) {
    await client.call("deployStack", {
      params: { project: "default", environment: "main", stack: `${shape.name}-${index}` },
      body: { spec: { ...benchStack(shape), secrets: {} } },
    });
  }
  await allReady;
  const seconds = (performance.now() - start) / 1_000;
  const figures = await server.figures();
  ended.abort();
  await probing;
  for (const times of [latencies, delays]) times.sort((a, b) => a - b);
  return {
    tasks,
    seconds,
    tasksPerSecond: tasks / seconds,
    apiMsP50: share(latencies, 0.5),
    apiMsP99: share(latencies, 0.99),
    watchMsP50: share(delays, 0.5),
    watchMsP99: share(delays, 0.99),
    loopDelayMsP99: figures.loopDelayMsP99,
    loopDelayMsMax: figures.loopDelayMsMax,
    serverCpuMsPerTask: figures.cpuMs / tasks,
    loopCpuMsPerTask: figures.loopCpuMs / tasks,
    serverResidentMib: figures.residentBytes / 2 ** 20,
  };
}

/** Resolves when so many tasks are reported ready; the stream says it as any client would be told. */
async function untilReady(
  client: HttpClient,
  { shape, delays }: { readonly shape: Shape; readonly delays: number[] },
  signal: AbortSignal,
): Promise<void> {
  const tasks = tasksOf([shape]);
  const body = { selectors: [{ kind: "status" as const }] };
  const events = await client.call("watch", { params: {}, body, signal });
  const ready = new Set<string>();
  const saying = setInterval(
    () => console.error(`${ready.size} of ${tasks} are ready`),
    SAY_PERIOD_MS,
  );
  signal.addEventListener("abort", () => clearInterval(saying), { once: true });
  for await (const event of events as AsyncIterable<WatchEvent>) {
    if (event.type !== "put" || !event.key.includes(`/${shape.name}-`)) continue;
    const status = event.value as TaskStatus;
    if (status.ready) ready.add(status.task);
    delays.push(Date.now() - status.updatedAt);
    if (ready.size === tasks) return;
  }
}

async function probe(client: HttpClient, into: number[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const begun = performance.now();
    await client.call("getNode", { params: { node: "node-00000" } });
    into.push(performance.now() - begun);
    await sleep(systemClock, PROBE_PERIOD_MS);
  }
}

function say(outcome: Outcome): void {
  if (flags.json) {
    console.log(JSON.stringify({ bench: "cluster", ...outcome }));
    return;
  }
  const { store, nodes, tasks, stacks, seconds } = outcome;
  console.log(
    `${store}: ${nodes} nodes, ${tasks} tasks in ${stacks} stacks in ${seconds.toFixed(2)} s`,
  );
  const rows = {
    "tasks/s": outcome.tasksPerSecond.toFixed(0),
    "API p50 / p99": `${outcome.apiMsP50.toFixed(1)} / ${outcome.apiMsP99.toFixed(1)} ms`,
    "reported to watched p50 / p99": `${outcome.watchMsP50} / ${outcome.watchMsP99} ms`,
    "event-loop delay p99 / max": `${outcome.loopDelayMsP99.toFixed(1)} / ${outcome.loopDelayMsMax.toFixed(1)} ms`,
    "server's processor a task": `${outcome.serverCpuMsPerTask.toFixed(2)} ms, the event loop's thread ${outcome.loopCpuMsPerTask.toFixed(2)} ms`,
    "server's memory, before / then": `${outcome.idleResidentMib.toFixed(0)} / ${outcome.serverResidentMib.toFixed(0)} MiB`,
    "server's processor, idle": `${(outcome.idleCpuShare * 100).toFixed(1)} % of one`,
    "told to agents, a task": `${outcome.eventsPerTask.toFixed(0)} events, ${(outcome.bytesPerTask / 1_024).toFixed(1)} KiB`,
    "created to told p50 / p99": `${outcome.toldMsP50} / ${outcome.toldMsP99} ms`,
    "agents' processor a task": `${outcome.agentsCpuMsPerTask.toFixed(2)} ms`,
    ...(outcome.lost && {
      [`${outcome.lost.nodes} nodes lost`]: `${outcome.lost.tasks} tasks run elsewhere after ${outcome.lost.seconds.toFixed(1)} s`,
    }),
  };
  for (const [name, text] of Object.entries(rows)) console.log(`  ${name.padEnd(32)} ${text}`);
}

const folder = await mkdtemp(join(tmpdir(), "berth-cluster-"));
try {
  if (flags.store !== "etcd") say(await measure("sqlite", folder, "embedded"));
  if (flags.store !== "sqlite") {
    const etcd = await startEtcd({ members: 3 });
    const url = `etcd://${etcd.endpoints.map((endpoint) => endpoint.slice(7)).join(",")}`;
    try {
      say(await measure("etcd", folder, url));
    } finally {
      await etcd.stop();
    }
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
process.exit();
