/**
 * The never-fail test: clients of five kinds ask without a pause, outside through the route and inside by
 * name, while the service is replaced, scaled, paused and broken and the platform's processes are killed.
 */

import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { shortCluster } from "@berth/agent/net/node-network-model";
import { eventually, freePort, get, type TestPlatform } from "../test-platform.ts";
import { type ClientReport, type ClientSettings, KINDS, type Kind } from "./client-program.ts";
import {
  allReady,
  COPIES,
  copies,
  DISTURBANCES,
  type DisturbanceName,
  isReady,
  masterSocketOf,
} from "./disturbances.ts";
import {
  CONTROL_PORT,
  composeText,
  HOST,
  programFiles,
  SERVICE,
  SERVICE_PORT,
  STACK,
} from "./load-stack.ts";
import { makeNodeImage } from "./node-image.ts";
import { Watcher, type WatchReport } from "./watcher.ts";

export interface NeverFailOptions {
  readonly platform: TestPlatform;
  readonly engineSocket: string;
  readonly manner: "well" | "naive";
  /** What is done, in this order. */
  readonly plan: readonly DisturbanceName[];
  /** It goes on without disturbance until so many requests were made. */
  readonly requestsMin: number;
  /** Then so many containers are killed without warning, and what that costs is counted apart. */
  readonly kills: number;
  readonly drainMs: number;
  /** Of each client between two requests: the service is to be asked, the machine not to be filled. */
  readonly pauseMs: number;
  /** Told of everything as it happens. */
  readonly say: (line: string) => void;
}

export interface NeverFailReport {
  readonly manner: "well" | "naive";
  readonly tookMs: number;
  readonly done: Readonly<Partial<Record<DisturbanceName, number>>>;
  readonly outside: ClientReport;
  readonly inside: ClientReport;
  readonly watched: WatchReport;
  /** Disturbances after which not all was well again in time. */
  readonly unwell: readonly string[];
  /** What failed more when containers were killed without warning, by place and kind. */
  readonly killed: {
    readonly kills: number;
    readonly outside: Readonly<Record<Kind, number>>;
    readonly inside: Readonly<Record<Kind, number>>;
  };
}

export const CLIENTS: Readonly<Record<Kind, number>> = {
  "keep-alive": 8,
  "new-connection": 4,
  "slow-body": 4,
  "web-socket": 8,
  "resolved-once": 2,
};
/** How often reports are looked at while it goes on. */
const REPORT_PERIOD_MS = 5_000;

export async function neverFail(options: NeverFailOptions): Promise<NeverFailReport> {
  makeNodeImage(options.engineSocket);
  const scene = new Scene(options);
  const from = performance.now();
  try {
    await scene.begin();
    const { done, unwell } = await disturb(options, scene);
    await scene.untilRequests(options.requestsMin);
    const [outside, inside] = await scene.reports("GET");
    const tookMs = performance.now() - from;
    for (let kill = 0; kill < options.kills; kill++) await scene.killOne();
    const [outsideAfter, insideAfter, watched] = await scene.stop();
    const killed = {
      kills: options.kills,
      outside: moreFailed(outside, outsideAfter),
      inside: moreFailed(inside, insideAfter),
    };
    return { manner: options.manner, tookMs, done, unwell, outside, inside, killed, watched };
  } finally {
    scene.end();
  }
}

async function disturb({ platform, plan, say }: NeverFailOptions, scene: Scene) {
  const done: Partial<Record<DisturbanceName, number>> = {};
  const unwell: string[] = [];
  for (const name of plan) {
    const begun = performance.now();
    try {
      await DISTURBANCES[name]({ platform, deployNext: () => scene.deployNext() });
    } catch (error) {
      const explained = (await platform.berth("explain", `${STACK}/${SERVICE}`)).stdout;
      unwell.push(`${name}: ${String(error)}\n${explained}`);
    }
    done[name] = (done[name] ?? 0) + 1;
    const tookMs = Math.round(performance.now() - begun);
    for (const line of await scene.standing(`${name}: ${tookMs} ms`)) say(line);
  }
  return { done, unwell };
}

function moreFailed(before: ClientReport, after: ClientReport): Record<Kind, number> {
  const more = (kind: Kind) => failedOf(after.kinds[kind]) - failedOf(before.kinds[kind]);
  const kinds = (Object.keys(KINDS) as Kind[]).map((kind) => [kind, more(kind)] as const);
  return Object.fromEntries(kinds) as Record<Kind, number>;
}

class Scene {
  readonly #options: NeverFailOptions;
  readonly #said = new Set<string>();
  #version = 0;
  #outside: ChildProcess | undefined;
  #outsidePort = 0;
  #insideAddress = "";
  #watcher: Watcher | undefined;

  constructor(options: NeverFailOptions) {
    this.#options = options;
  }

  async begin(): Promise<void> {
    await this.deployNext();
    this.#insideAddress = await this.#addressOfClient();
    await this.#startOutside();
    await eventually("clients ask", async () => {
      const reports = await this.reports("GET");
      return reports.every((report) => requestsOf(report) > 0);
    });
    this.#watcher = await this.#watch();
  }

  async deployNext(): Promise<void> {
    const { platform, manner, drainMs } = this.#options;
    const version = ++this.#version;
    const inside = this.#settings(SERVICE, SERVICE_PORT, CONTROL_PORT);
    const options = { version, copies: COPIES, manner, drainMs, inside };
    const folder = platform.project(STACK, {
      "compose.yaml": composeText(options),
      ...programFiles(),
    });
    await platform.must("deploy", "-f", join(folder, "compose.yaml"), "--stack", STACK);
    await allReady(platform);
  }

  #settings(host: string, port: number, controlPort: number): ClientSettings {
    const { pauseMs } = this.#options;
    return { controlPort, host, port, hostHeader: HOST, clients: CLIENTS, pauseMs };
  }

  async #addressOfClient(): Promise<string> {
    const path = `/v1/projects/default/environments/main/tasks?stack=${STACK}&service=client`;
    const { body } = await this.#options.platform.api("GET", path);
    const address = /"address":"([0-9.]+)"/.exec(body)?.[1];
    assert.ok(address, `the client has an address: ${body}`);
    return address;
  }

  async #startOutside(): Promise<void> {
    this.#outsidePort = await freePort();
    const { httpPort } = this.#options.platform;
    const settings = this.#settings("127.0.0.1", httpPort, this.#outsidePort);
    const program = join(import.meta.dirname, "client-program.ts");
    this.#outside = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", program], {
      env: { ...process.env, CLIENT_SETTINGS: JSON.stringify(settings) },
      stdio: ["ignore", "inherit", "inherit"],
    });
  }

  async #watch(): Promise<Watcher> {
    const { platform } = this.#options;
    const [copy] = (await copies(platform)).filter(isReady);
    const address = copy?.task.attachments[0]?.address ?? "";
    const network = address.slice(0, address.lastIndexOf("."));
    return new Watcher({
      gateway: `${network}.1`,
      masterSocket: masterSocketOf(platform),
      table: `berth_${shortCluster(platform.cluster)}_address`,
      isCopy: (given) => given.startsWith(`${network}.`) && given !== this.#insideAddress,
    });
  }

  async reports(method: "GET" | "POST"): Promise<readonly [ClientReport, ClientReport]> {
    const ask = async (host: string, port: number): Promise<ClientReport> =>
      JSON.parse((await get({ host, port, method, path: "/report", timeout: 60_000 })).body);
    return await Promise.all([
      ask("127.0.0.1", this.#outsidePort),
      ask(this.#insideAddress, CONTROL_PORT),
    ]);
  }

  /** For people who watch: how many so far, and each failure that is new. */
  async standing(what: string): Promise<string[]> {
    const [outside, inside] = await this.reports("GET");
    const words = (report: ClientReport) =>
      `${requestsOf(report)} requests, ${failuresOf(report)} failed`;
    const examples = [...exampleLines("outside", outside), ...exampleLines("inside", inside)];
    const fresh = examples.filter((line) => !this.#said.has(line));
    for (const line of fresh) this.#said.add(line);
    return [`${what}; outside ${words(outside)}; inside ${words(inside)}`, ...fresh];
  }

  async untilRequests(count: number): Promise<void> {
    for (;;) {
      const reports = await this.reports("GET");
      if (reports.reduce((sum, report) => sum + requestsOf(report), 0) >= count) return;
      await new Promise((resolve) => setTimeout(resolve, REPORT_PERIOD_MS));
    }
  }

  /** One ready copy dies without a word; answers when all are ready again. */
  async killOne(): Promise<void> {
    const { platform, engineSocket } = this.#options;
    const [victim] = (await copies(platform)).filter(isReady);
    const container = victim?.status?.containerId;
    assert.ok(victim !== undefined && container !== undefined, "a copy runs");
    this.#watcher?.doom(victim.task.attachments[0]?.address ?? "");
    const words = ["-H", `unix://${engineSocket}`, "kill", "--signal", "KILL", container];
    execFileSync("docker", words, { stdio: "ignore" });
    await eventually("the copy was started again", async () => {
      const now = (await copies(platform)).find(({ task }) => task.id === victim.task.id);
      return isReady(now) && (now?.status?.attempt ?? 0) > (victim.status?.attempt ?? 0);
    });
  }

  async stop(): Promise<readonly [ClientReport, ClientReport, WatchReport]> {
    const watched = await this.#watcher?.stop();
    assert.ok(watched, "it was watched");
    const [outside, inside] = await this.reports("POST");
    return [outside, inside, watched];
  }

  end(): void {
    this.#outside?.kill("SIGKILL");
  }
}

export function requestsOf({ kinds }: ClientReport): number {
  return Object.values(kinds).reduce((sum, { requests }) => sum + requests, 0);
}

export function failuresOf({ kinds }: ClientReport): number {
  return Object.values(kinds).reduce((sum, report) => sum + failedOf(report), 0);
}

export function failedOf({ failures }: ClientReport["kinds"][Kind]): number {
  return Object.values(failures).reduce((sum, count) => sum + count, 0);
}

/** The report as a table. */
export function reportLines(report: NeverFailReport): string[] {
  const rows = (["outside", "inside"] as const).flatMap((place) =>
    (Object.keys(KINDS) as Kind[]).map((kind) => {
      const { requests, failures, reconnects, latencyMs } = report[place].kinds[kind];
      const { p50, p99, max } = latencyMs;
      const failed = Object.entries(failures).map(([failure, count]) => `${count} ${failure}`);
      return [
        `${place} ${kind}`.padEnd(24),
        String(requests).padStart(9),
        (failed.length === 0 ? "0" : failed.join(", ")).padStart(9),
        String(reconnects).padStart(10),
        ...[p50, p99, max].map((ms) => ms.toFixed(1).padStart(8)),
      ].join(" ");
    }),
  );
  const { watched, done, tookMs, manner } = report;
  const total = requestsOf(report.outside) + requestsOf(report.inside);
  const failed = failuresOf(report.outside) + failuresOf(report.inside);
  return [
    `program: ${manner}; ${total} requests in ${Math.round(tookMs / 1_000)} s, ${failed} failed`,
    `${"clients".padEnd(24)}  requests    failed reconnects   p50 ms   p99 ms   max ms`,
    ...rows,
    `meanwhile: ${Object.entries(done)
      .map(([name, count]) => `${count} × ${name}`)
      .join(", ")}`,
    `watched: ${Object.entries(watched.looks)
      .map(([source, count]) => `${count} looks at ${source}`)
      .join(", ")}; ${watched.asked} addresses asked, ${watched.violations.length} unfit`,
    ...watched.violations.map((line) => `  ${line}`),
    ...report.unwell.map((words) => `not well again in time: ${words}`),
    ...(report.killed.kills === 0 ? [] : killedLines(report)),
    ...exampleLines("outside", report.outside),
    ...exampleLines("inside", report.inside),
  ];
}

function killedLines({ killed }: NeverFailReport): string[] {
  const words = (place: "outside" | "inside") =>
    Object.entries(killed[place])
      .map(([kind, count]) => `${kind} ${count}`)
      .join(", ");
  return [
    `${killed.kills} × container killed without warning: failed`,
    `  outside ${words("outside")}`,
    `  inside  ${words("inside")}`,
  ];
}

function exampleLines(place: string, { kinds }: ClientReport): string[] {
  return Object.entries(kinds).flatMap(([kind, { examples }]) =>
    examples.map((example) => `  ${place} ${kind} ${example}`),
  );
}
