/**
 * Starting and stopping the platform on this machine.
 *
 * Starting is idempotent: what runs in the wanted version stays as it is, what runs in an older one is
 * replaced process by process while containers and HAProxy go on. Stopping ends the platform's own
 * processes; containers keep running unless that is asked for.
 */

import { spawn } from "node:child_process";
import { closeSync, existsSync, mkdirSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Clock, sleep } from "@berth/base";
import { NetClient, netSocketPath } from "@berth/network/client";
import { type ApiClient, FORMAT_LEVEL, ProtocolError } from "@berth/protocol";
import { hasSystemd, pingEngine, startEngineUnit } from "./local-engine.ts";
import type { PlatformPaths } from "./paths.ts";
import { livingProcess, removeProcessRecord, startTicksOf } from "./process-record.ts";
import { ownProcess, ownProcesses, processEnvironment } from "./process-table.ts";
import { type PlatformSettings, readSettings, writeSettings } from "./settings.ts";
import { requestStop } from "./stop-request.ts";
import { installUnits, stopUnits, unitPid } from "./systemd-units.ts";
import { VERSION } from "./version.ts";

export interface Lifecycle {
  readonly paths: PlatformPaths;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** A client of the local server, made anew at each call: the token may not exist before. */
  readonly connect: () => ApiClient;
  /** Shows one line when a step is done. */
  readonly report: (step: string, detail: string) => void;
}

/** An engine takes two seconds, a cold server one; a busy machine ten times as long. */
const START_TIMEOUT_MS = 60_000;
const POLL_MS = 50;
const STOP_TIMEOUT_MS = 20_000;
/** Twice within the shortest lease that may be set. */
const VOUCH_PERIOD_MS = 400;

export async function startPlatform(
  life: Lifecycle,
  changes: Partial<PlatformSettings>,
): Promise<PlatformSettings> {
  const settings = await settleSettings(life, changes);
  const before = await versionHere(life, settings);
  const current = await ensureEngine(life, settings);
  if (before === undefined || before === VERSION) return startCurrent(life, current, before);
  await refuseTooOld(life);
  life.report("upgrade", `${before} → ${VERSION}; containers keep running`);
  return vouching(life, current.node, async () => {
    await stopOwnProcesses(life, { supervisor: true });
    await stopNet(life);
    return startCurrent(life, current, before);
  });
}

/**
 * Renews the node's lease while `work` replaces its agent: on a busy machine that takes longer than a lease, and a
 * node that is merely upgraded is not to lose its copies. Ends with the work, so a new agent that does not come is
 * missed a lease later.
 */
async function vouching<T>(life: Lifecycle, node: string, work: () => Promise<T>): Promise<T> {
  const ended = new AbortController();
  const signal = AbortSignal.any([life.signal, ended.signal]);
  const vouched = renewUntil(life, node, signal);
  try {
    return await work();
  } finally {
    // A renewal that is under way is not waited for.
    ended.abort();
    await vouched;
  }
}

async function renewUntil(life: Lifecycle, node: string, signal: AbortSignal): Promise<void> {
  const api = life.connect();
  while (!signal.aborted) {
    try {
      await api.call("renewLease", { params: { node }, signal });
    } catch (error) {
      // The server is being replaced as well: leases start anew with the next one.
      if (!(error instanceof ProtocolError)) return;
    }
    await sleep(life.clock, VOUCH_PERIOD_MS, signal).catch(() => undefined);
  }
}

/** Starts what does not run, and waits until it answers in this version. */
async function startCurrent(
  life: Lifecycle,
  current: PlatformSettings,
  before: string | undefined,
): Promise<PlatformSettings> {
  if (current.systemd) await installUnits(life.paths, current);
  else startSupervisor(life.paths);
  const from = life.clock.monotonic();
  if (current.joined === undefined) {
    await waitFor(life, "the server", async () => (await runningVersion(life)) === VERSION);
  }
  await waitFor(life, "the agent", () => nodeIsUp(life, current.node));
  const tookMs = Math.round(life.clock.monotonic() - from);
  life.report(
    "platform",
    before === VERSION
      ? `${namesOf(current)} were up`
      : `${namesOf(current)} up after ${tookMs} ms`,
  );
  return current;
}

/**
 * Nothing is stopped for a version that could not start: the cluster's state may be newer than it.
 *
 * @throws ProtocolError `version_too_old`
 */
async function refuseTooOld(life: Lifecycle): Promise<void> {
  const level = await formatLevelHere(life);
  if (level === undefined || level <= FORMAT_LEVEL) return;
  const message = `Berth ${VERSION} reads formats up to ${FORMAT_LEVEL}, the cluster's state is at ${level}: there is no way back to it. Nothing was stopped`;
  throw new ProtocolError("version_too_old", message, { level, format: FORMAT_LEVEL });
}

async function formatLevelHere(life: Lifecycle): Promise<number | undefined> {
  try {
    return (await life.connect().call("listServers", { params: {} })).formats?.level;
  } catch (error) {
    // Where nobody answers nothing runs that could be stopped; the server itself looks again.
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}

function namesOf(settings: PlatformSettings): string {
  return [...ownProcesses(settings), "net"].join(", ");
}

/** What runs here now: the server's version, that of the agent where the server is elsewhere. */
async function versionHere(
  life: Lifecycle,
  { joined, node }: PlatformSettings,
): Promise<string | undefined> {
  if (joined === undefined) return runningVersion(life);
  if (livingProcess(join(life.paths.processes, "agent")) === undefined) return undefined;
  try {
    const { status } = await life.connect().call("getNode", { params: { node } });
    return status?.agentVersion;
  } catch (error) {
    // An agent that the server does not know, or that cannot reach it, is replaced.
    if (error instanceof ProtocolError) return "unknown";
    throw error;
  }
}

/** The new agent starts the new `net`; HAProxy goes on serving, names are missing for a quarter second. */
async function stopNet(life: Lifecycle, options = { ingress: false }): Promise<void> {
  const net = new NetClient({ socketPath: netSocketPath(life.paths.net) });
  try {
    await net.stop(options);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
  }
}

async function settleSettings(
  life: Lifecycle,
  changes: Partial<PlatformSettings>,
): Promise<PlatformSettings> {
  const settings = { ...readSettings(life.paths.settings), ...changes, systemd: useSystemd() };
  mkdirSync(life.paths.dataDir, { recursive: true, mode: 0o700 });
  writeSettings(life.paths.settings, settings);
  return settings;
}

function useSystemd(): boolean {
  return hasSystemd() && process.getuid?.() === 0;
}

/** Adopts the engine that runs, or starts one: by its unit, else under our supervisor. */
async function ensureEngine(
  life: Lifecycle,
  settings: PlatformSettings,
): Promise<PlatformSettings> {
  const ping = await pingEngine(settings.engineSocket);
  if (ping !== undefined) {
    const whose = settings.engineManaged ? "supervised by berth" : "found running, adopted";
    life.report("engine", `API ${ping.apiVersion}, ${whose}`);
    return settings;
  }
  if (settings.systemd) await startEngineUnit();
  else {
    const managed = { ...settings, engineManaged: true };
    writeSettings(life.paths.settings, managed);
    // A supervisor that runs read its settings before: it is replaced by one that knows the engine.
    await endProcess(life, "supervisor");
    startSupervisor(life.paths);
    await waitFor(life, "the container engine", async () => engineAnswers(settings));
    life.report("engine", "dockerd started, supervised by berth");
    return managed;
  }
  await waitFor(life, "the container engine", async () => engineAnswers(settings));
  life.report("engine", "docker.service started");
  return settings;
}

async function engineAnswers(settings: PlatformSettings): Promise<boolean> {
  return (await pingEngine(settings.engineSocket)) !== undefined;
}

function startSupervisor(paths: PlatformPaths): void {
  if (livingProcess(join(paths.processes, "supervisor")) !== undefined) return;
  mkdirSync(paths.logs, { recursive: true, mode: 0o700 });
  const output = openSync(join(paths.logs, "supervisor.log"), "a", 0o600);
  const [program = process.execPath, ...rest] = ownProcess("supervise");
  const child = spawn(program, rest, {
    detached: true,
    stdio: ["ignore", output, output],
    env: processEnvironment(paths),
  });
  child.unref();
  closeSync(output);
}

/** Version of the server that answers on this machine; `undefined` when none does. */
export async function runningVersion(life: Lifecycle): Promise<string | undefined> {
  const { adminToken, identity } = life.paths;
  if (!existsSync(adminToken) && !existsSync(identity)) return undefined;
  try {
    return (await life.connect().call("version", { params: {} })).version;
  } catch (error) {
    if (error instanceof ProtocolError && error.code === "unavailable") return undefined;
    throw error;
  }
}

async function nodeIsUp(life: Lifecycle, name: string): Promise<boolean> {
  try {
    const { node, status } = await life.connect().call("getNode", { params: { node: name } });
    return node.contact === "up" && status?.agentVersion === VERSION;
  } catch (error) {
    if (error instanceof ProtocolError && ["not_found", "unavailable"].includes(error.code)) {
      return false;
    }
    throw error;
  }
}

async function waitFor(
  life: Lifecycle,
  what: string,
  holds: () => Promise<boolean>,
): Promise<void> {
  const deadline = life.clock.monotonic() + START_TIMEOUT_MS;
  while (!(await holds())) {
    if (life.clock.monotonic() > deadline) throw notUp(life, what);
    await sleep(life.clock, POLL_MS, life.signal);
  }
}

function notUp(life: Lifecycle, what: string): ProtocolError {
  const logs = ["supervisor", "engine", "server", "agent"]
    .map((name) => join(life.paths.logs, `${name}.log`))
    .filter((file) => existsSync(file));
  const tail = logs.flatMap((file) => lastLines(file, 5));
  const message = `${what} did not come up within ${START_TIMEOUT_MS / 1000} s; logs are in ${life.paths.logs}`;
  return new ProtocolError("timed_out", message, { timeoutMs: START_TIMEOUT_MS, problems: tail });
}

function lastLines(file: string, count: number): string[] {
  return readFileSync(file, "utf8").trim().split("\n").slice(-count);
}

export interface StopOptions {
  /** The engine that Berth supervises goes, too; its containers stay where live-restore is on. */
  readonly engine: boolean;
  /** Containers stop before: connections end, then processes, in order of dependency, within this time. */
  readonly drainMs?: number;
}

/** How a stop ended. */
export interface StopOutcome {
  /** Processes of the platform that were ended. */
  readonly ended: readonly string[];
  /** Containers that were to stop and still ran at the end of the time; absent when none was to. */
  readonly left?: number;
}

/** Ends the platform's own processes. Answers those that were ended. */
export async function stopPlatform(life: Lifecycle, options: StopOptions): Promise<StopOutcome> {
  const settings = readSettings(life.paths.settings);
  const left = options.drainMs === undefined ? undefined : await drain(life, options.drainMs);
  if (settings.systemd) await stopUnits();
  const ended = await stopOwnProcesses(life, { supervisor: true });
  if (options.engine && settings.engineManaged && (await endProcess(life, "engine"))) {
    ended.push("engine");
  }
  return { ended, ...(left === undefined ? {} : { left }) };
}

/** Nothing runs that could be led to: names and HAProxy end as well. */
async function drain(life: Lifecycle, timeoutMs: number): Promise<number> {
  const { paths, clock, signal } = life;
  const pid = livingProcess(join(paths.processes, "agent")) ?? (await unitPid("berth-agent"));
  if (pid === undefined) {
    throw new ProtocolError("unavailable", "the agent does not run: nobody can stop containers", {
      advice: "berth platform start",
    });
  }
  const left = await requestStop(paths, clock, { pid, timeoutMs, signal });
  if (left === undefined) {
    throw new ProtocolError("timed_out", "the agent did not say that its containers stopped", {
      timeoutMs,
    });
  }
  if (left === 0) await stopNet(life, { ingress: true });
  return left;
}

async function stopOwnProcesses(
  life: Lifecycle,
  options: { readonly supervisor: boolean },
): Promise<string[]> {
  // The supervisor first: it would start the others again.
  const names = [...(options.supervisor ? ["supervisor"] : []), "agent", "server"];
  const ended: string[] = [];
  for (const name of names) if (await endProcess(life, name)) ended.push(name);
  return ended;
}

/** SIGTERM, then SIGKILL after the time-out. Answers whether there was such a process. */
export async function endProcess(life: Lifecycle, name: string): Promise<boolean> {
  const record = join(life.paths.processes, name);
  const pid = livingProcess(record);
  if (pid === undefined) return false;
  process.kill(pid, "SIGTERM");
  await untilEnded(life, pid);
  removeProcessRecord(record);
  return true;
}

/** Waits for a process that was asked to end; it is killed when it takes longer than the time-out. */
export async function untilEnded(life: Lifecycle, pid: number): Promise<void> {
  const started = startTicksOf(pid);
  const deadline = life.clock.monotonic() + STOP_TIMEOUT_MS;
  while (started !== undefined && startTicksOf(pid) === started) {
    if (life.clock.monotonic() > deadline) process.kill(pid, "SIGKILL");
    await sleep(life.clock, POLL_MS, life.signal);
  }
}
