/**
 * Keeps this node's HAProxy what the model says: running, with the ports that can be had, and the copies.
 *
 * One reconcile does all: find (or start) HAProxy, test ports that it does not hold yet, reload when the
 * skeleton differs, then bring the servers into line by the runtime API. It is repeated whenever the model
 * changes, HAProxy ends, or something is left to do; running it twice changes nothing. Reconciles never
 * overlap. A port that somebody else holds costs its routes alone.
 *
 * Design page: docs/design/ingress.md
 */

import { type Clock, type Driver, type Logger, type Loop, sleep } from "@berth/base";
import { ProtocolError } from "@berth/protocol/errors";
import type { NodeNetworkModel } from "../model.ts";
import { bindProblem } from "../port-problem.ts";
import type { EndpointSessions, NetProblem } from "../report.ts";
import { type ConfigSettings, connectionsMaxFor, renderConfig } from "./config.ts";
import { Haproxy, type LoadResult, type RunningHaproxy } from "./haproxy.ts";
import { descriptorsMax, haproxyUser, tryBind } from "./host-facts.ts";
import { type IngressBind, type IngressPlan, parseBindName, planIngress } from "./plan.ts";
import { parseServersState, parseStat, planServers } from "./runtime.ts";

export interface IngressControllerOptions {
  /** Folder for HAProxy's files; see `HaproxyOptions`. */
  readonly dir: string;
  readonly haproxyProgram: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly driver: Driver;
}

export interface HostPort {
  readonly address: string;
  readonly port: number;
}

/** Between two reloads: each leaves a worker behind until its connections end. */
const RELOAD_INTERVAL_MS = 250;
/** A server that is on its way out is asked about this often. */
const LEAVING_POLL_MS = 100;
/** Ports that somebody else holds are tried again this often. */
const PORT_RETRY_MS = 1_000;
/** Safety net under the watched connection: a hanging master, a table changed by hand. */
const CHECK_PERIOD_MS = 10_000;
/** Add, enable, confirm: two rounds do; more means that HAProxy refuses something. */
const SYNC_ROUNDS_MAX = 4;
const LOOP_NAME = "ingress";

export class IngressController {
  readonly #options: IngressControllerOptions;
  readonly #haproxy: Haproxy;
  readonly #loop: Loop;
  readonly #leavingSince = new Map<string, number>();
  #model: NodeNetworkModel | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  #problems: readonly NetProblem[] = [];
  #running: RunningHaproxy | undefined;
  #bound: readonly HostPort[] = [];
  #unwatch: (() => void) | undefined;
  #lastReloadMs = Number.NEGATIVE_INFINITY;
  #starts = 0;
  #reloads = 0;
  #closed = false;

  constructor(options: IngressControllerOptions) {
    this.#options = options;
    this.#haproxy = new Haproxy({ ...options, program: options.haproxyProgram });
    this.#loop = options.driver.add({
      name: LOOP_NAME,
      purpose: "keeps HAProxy running and in line with the model",
      periodMs: CHECK_PERIOD_MS,
      run: () => this.#serially(() => this.#reconcile()),
    });
  }

  /** Follows `model`; when this resolves, new requests go to its ready endpoints and nowhere else. */
  async apply(model: NodeNetworkModel): Promise<void> {
    this.#model = model;
    try {
      const { againMs } = await this.#serially(() => this.#reconcile());
      if (againMs !== undefined) this.#loop.wake();
    } catch (error) {
      const detail = error instanceof Error ? error.message : String(error);
      this.#problems = [{ code: "part_failed", part: "ingress", detail }];
      this.#loop.wake();
    }
  }

  problems(): readonly NetProblem[] {
    return this.#problems;
  }

  /** Ports that HAProxy holds now. */
  boundPorts(): readonly HostPort[] {
    return this.#bound;
  }

  get pid(): number | undefined {
    return this.#running?.masterPid;
  }

  figures(): { readonly starts: number; readonly reloads: number; readonly oldWorkers: number } {
    const oldWorkers = this.#running?.oldWorkers.length ?? 0;
    return { starts: this.#starts, reloads: this.#reloads, oldWorkers };
  }

  /** Connections and queued requests of an endpoint over all workers; 0 when HAProxy does not run. */
  async sessions(endpoint: HostPort): Promise<EndpointSessions> {
    const running = await this.#haproxy.find();
    const workers = running === undefined ? [] : [...running.oldWorkers.map(oldPrefix), "@1"];
    const address = `${endpoint.address}:${endpoint.port}`;
    let sessions = 0;
    let queued = 0;
    for (const worker of workers) {
      const rows = parseStat(await this.#askWorker(worker, "show stat -1 4 -1"));
      for (const row of rows.filter((item) => item.address === address)) {
        sessions += row.sessions;
        queued += row.queued;
      }
    }
    return { sessions, queued };
  }

  /** Stops watching; HAProxy goes on unless `stopIngress`. */
  async close(options: { readonly stopIngress: boolean }): Promise<void> {
    this.#closed = true;
    this.#unwatch?.();
    await this.#options.driver.remove(LOOP_NAME);
    await this.#queue;
    if (options.stopIngress) await this.#haproxy.stop();
  }

  /** One after the other; a failure of one does not keep the next from running. */
  #serially<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#queue.then(work, work);
    this.#queue = next.catch(() => {});
    return next;
  }

  async #reconcile(): Promise<{ readonly againMs?: number }> {
    if (this.#model === undefined || this.#closed) return {};
    const { pathProblem } = this.#haproxy;
    if (pathProblem !== undefined) throw new ProtocolError("limit_exceeded", pathProblem);
    const running = await this.#find();
    const wanted = planIngress(this.#model);
    if (running === undefined && wanted.binds.length > 0) await this.#haproxy.clearOrphans();
    const { plan, problems } = await this.#withFreePorts(wanted);
    // Without a port to serve there is no reason to start one; a running one stays, empty.
    if (running === undefined && plan.binds.length === 0) {
      this.#problems = problems;
      return retryIn(problems);
    }
    const failure = await this.#load(plan, running);
    this.#problems = failure === undefined ? problems : [...problems, failure];
    if (failure !== undefined) return { againMs: PORT_RETRY_MS };
    const leaving = await this.#syncServers(plan);
    return leaving > 0 ? { againMs: LEAVING_POLL_MS } : retryIn(problems);
  }

  /** Looks for HAProxy and, when it is another than the known one, learns what it holds. */
  async #find(): Promise<RunningHaproxy | undefined> {
    const before = this.#running;
    const running = await this.#haproxy.find();
    this.#running = running;
    if (running === undefined) this.#bound = [];
    else if (running.masterPid !== before?.masterPid || running.reloads !== before.reloads) {
      await this.#learn(running);
    }
    return running;
  }

  async #learn(running: RunningHaproxy): Promise<void> {
    this.#running = running;
    const rows = parseStat(await this.#haproxy.cli.ask("@1 show stat -1 1 -1"));
    this.#bound = rows.flatMap((row) => parseBindName(row.backend) ?? []);
    this.#unwatch?.();
    this.#unwatch = this.#haproxy.cli.watch(() => this.#loop.wake());
  }

  /** Leaves out binds whose port somebody else holds: HAProxy would refuse the whole configuration. */
  async #withFreePorts(
    wanted: IngressPlan,
  ): Promise<{ readonly plan: IngressPlan; readonly problems: NetProblem[] }> {
    const problems = [...wanted.problems];
    const binds: IngressBind[] = [];
    for (const bind of wanted.binds) {
      const held = this.#bound.some((b) => b.address === bind.address && b.port === bind.port);
      const error = held ? undefined : await tryBind(bind);
      if (error === undefined) binds.push(bind);
      else {
        const { address, port } = bind;
        for (const id of bind.routeIds) {
          problems.push(bindProblem(error, { id, address, port, protocol: "tcp" }));
        }
      }
    }
    return { plan: { ...wanted, binds }, problems };
  }

  /** Starts or reloads HAProxy when its skeleton is not the wanted one. Returns what went wrong. */
  async #load(
    plan: IngressPlan,
    running: RunningHaproxy | undefined,
  ): Promise<NetProblem | undefined> {
    const { text, skeleton } = renderConfig(plan, this.#settings());
    if (running?.skeleton === skeleton) {
      this.#haproxy.writeConfig(text);
      return undefined;
    }
    const { clock } = this.#options;
    const waitMs = this.#lastReloadMs + RELOAD_INTERVAL_MS - clock.monotonic();
    if (running !== undefined && waitMs > 0) await sleep(clock, waitMs);
    const result = await this.#startOrReload({ text, skeleton }, running);
    this.#lastReloadMs = clock.monotonic();
    if (result.kind === "loaded") {
      await this.#learn(result.running);
      return undefined;
    }
    if (result.kind === "missing") {
      return { code: "program_missing", program: this.#options.haproxyProgram };
    }
    return { code: "part_failed", part: "ingress", detail: result.detail };
  }

  #startOrReload(
    config: { readonly text: string; readonly skeleton: string },
    running: RunningHaproxy | undefined,
  ): Promise<LoadResult> {
    if (running === undefined) {
      this.#starts++;
      this.#options.log.info("starting HAProxy");
      return this.#haproxy.start(config.text, config.skeleton);
    }
    this.#reloads++;
    this.#options.log.info("reloading HAProxy", { from: running.skeleton, to: config.skeleton });
    return this.#haproxy.reload(config.text, config.skeleton, running);
  }

  /** Brings all workers' servers into line. Returns how many servers still have to leave. */
  async #syncServers(plan: IngressPlan): Promise<number> {
    for (const pid of this.#running?.oldWorkers ?? []) {
      // An old worker may end at any time; it then has nothing left that could go wrong.
      await this.#syncWorker(plan, oldPrefix(pid), true).catch(() => {});
    }
    let leaving: readonly string[] = [];
    for (let round = 0; round < SYNC_ROUNDS_MAX; round++) {
      const result = await this.#syncWorker(plan, "@1", false);
      leaving = result.leaving;
      if (result.commands.length === 0 || result.commands.every(isDeletion)) break;
    }
    this.#forgetGone(new Set(leaving));
    return leaving.length;
  }

  async #syncWorker(plan: IngressPlan, worker: string, old: boolean) {
    const observed = parseServersState(await this.#askWorker(worker, "show servers state"));
    const overdue = (server: string) => this.#overdue(server);
    const result = planServers(plan.backends, observed, { old, overdue });
    if (result.commands.length > 0) {
      await this.#haproxy.cli.run(result.commands.map((command) => `${worker} ${command}`));
    }
    return result;
  }

  #askWorker(worker: string, command: string): Promise<string> {
    return this.#haproxy.cli.ask(`${worker} ${command}`);
  }

  #overdue(server: string): boolean {
    const nowMs = this.#options.clock.monotonic();
    const since = this.#leavingSince.get(server) ?? nowMs;
    this.#leavingSince.set(server, since);
    return nowMs - since >= (this.#model?.ingress.drainTimeoutMs ?? 0);
  }

  #forgetGone(leaving: ReadonlySet<string>): void {
    for (const server of this.#leavingSince.keys()) {
      if (!leaving.has(server)) this.#leavingSince.delete(server);
    }
  }

  #settings(): ConfigSettings {
    const connectionsMax = connectionsMaxFor(descriptorsMax(), this.#model?.ingress.connectionsMax);
    const user = process.getuid?.() === 0 ? haproxyUser() : undefined;
    return {
      statsSocketPath: this.#haproxy.statsSocketPath,
      connectionsMax,
      ...(user === undefined ? {} : { user }),
    };
  }
}

function oldPrefix(pid: number): string {
  return `@!${pid}`;
}

function isDeletion(command: string): boolean {
  return command.startsWith("del server") || command.startsWith("shutdown sessions");
}

function retryIn(problems: readonly NetProblem[]): { readonly againMs?: number } {
  const curable = problems.some((problem) => problem.code !== "route_clash");
  return curable ? { againMs: PORT_RETRY_MS } : {};
}
