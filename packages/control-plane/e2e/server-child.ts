/**
 * One server as a process of its own, for tests and benchmarks that kill it or want its figures. Options
 * come as JSON in the first word; it says `{url}` on stdout when it listens, and answers each line on stdin
 * with its figures since the last one.
 */

import { monitorEventLoopDelay } from "node:perf_hooks";
import { createInterface } from "node:readline";
import { lineLogger, systemClock } from "@berth/base";
import { type ClusterPlace, type RunServerOptions, runServer } from "../src/server/run-server.ts";

export interface ServerChildOptions
  extends Pick<RunServerOptions, "dataDir" | "nodeName" | "store" | "settings"> {
  /** The port for members, on 127.0.0.1. */
  readonly clusterPort?: number;
}

/** What a benchmark wants to know of a server. */
export interface ServerFigures {
  readonly leads: boolean;
  readonly cpuMs: number;
  /** Of it, the thread of the event loop: what bounds the server when there are processors enough. */
  readonly loopCpuMs: number;
  readonly residentBytes: number;
  readonly heapBytes: number;
  readonly loopDelayMsP99: number;
  readonly loopDelayMsMax: number;
}

const { clusterPort, ...options } = JSON.parse(process.argv[2] ?? "{}") as ServerChildOptions;
const server = await runServer({
  ...options,
  ...(clusterPort === undefined ? {} : { clusterPort: clusterPlace(clusterPort) }),
  listen: { host: "127.0.0.1", port: 0 },
  clock: systemClock,
  log: lineLogger({
    level: "warn",
    now: () => Date.now(),
    write: (line) => process.stderr.write(`${line}\n`),
  }),
  version: "0.0.0-test",
});
process.stdout.write(`${JSON.stringify({ url: server.url })}\n`);

const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
let cpuBefore = process.cpuUsage();
let loopBefore = process.threadCpuUsage();
createInterface({ input: process.stdin })
  .on("line", () => {
    const cpu = process.cpuUsage(cpuBefore);
    cpuBefore = process.cpuUsage();
    const loop = process.threadCpuUsage(loopBefore);
    loopBefore = process.threadCpuUsage();
    const memory = process.memoryUsage();
    const figures: ServerFigures = {
      leads: server.leads(),
      cpuMs: (cpu.user + cpu.system) / 1_000,
      loopCpuMs: (loop.user + loop.system) / 1_000,
      residentBytes: memory.rss,
      heapBytes: memory.heapUsed,
      loopDelayMsP99: delay.percentile(99) / 1e6,
      loopDelayMsMax: delay.max / 1e6,
    };
    delay.reset();
    process.stdout.write(`${JSON.stringify(figures)}\n`);
  })
  .on("close", () => void server.stop().then(() => process.exit(0)));

/** No host is let in from here, so there is nothing to hand out. */
function clusterPlace(port: number): ClusterPlace {
  const host = "127.0.0.1";
  const software = {
    architecture: process.arch,
    files: async () => [],
    read: async () => undefined,
  };
  return { host, port, addresses: () => [host], software };
}
