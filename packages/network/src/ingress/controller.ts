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

import { createHash } from "node:crypto";
import { type Clock, type Driver, type Logger, type Loop, sleep } from "@berth/base";
import { ProtocolError } from "@berth/protocol/errors";
import type { NodeNetworkModel } from "../model.ts";
import { bindProblem } from "../port-problem.ts";
import type { EndpointSessions, NetProblem, RouteFigures } from "../report.ts";
import { ACCESS_LOG_DEFAULT, rotateAccessLog } from "./access-log-file.ts";
import {
  type ConfigSettings,
  connectionsMaxFor,
  type RenderedConfig,
  renderConfig,
} from "./config.ts";
import { Haproxy, type LoadResult, type RunningHaproxy } from "./haproxy.ts";
import { descriptorsMax, haproxyUser, tryBind } from "./host-facts.ts";
import {
  ANY_ADDRESS,
  type BoundPort,
  type IngressBind,
  type IngressPlan,
  inBothFamilies,
  parseBindName,
  planIngress,
} from "./plan.ts";
import { FiguresOfRoutes } from "./route-figures.ts";
import { CURRENT_WORKER, oldWorker, ServerSync } from "./server-sync.ts";
import { parseBackendFigures, parseStat } from "./stat.ts";
import { syncCertificates, syncMaps } from "./table-sync.ts";
import { type BrokenRoutes, findBroken, stillBroken, type Verdict } from "./usable-plan.ts";

export interface IngressControllerOptions {
  /** Folder for HAProxy's files; see `HaproxyOptions`. */
  readonly dir: string;
  readonly filesDir: string;
  readonly haproxyProgram: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly driver: Driver;
}

/** Counted since this `net` began. */
export interface IngressFigures {
  readonly starts: number;
  readonly reloads: number;
  /** Workers that a reload has left behind, now. */
  readonly oldWorkers: number;
  /** Tables and certificates that were exchanged without a reload. */
  readonly tableChanges: number;
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
const LOOP_NAME = "ingress";

export class IngressController {
  readonly #options: IngressControllerOptions;
  readonly #haproxy: Haproxy;
  readonly #loop: Loop;
  readonly #servers: ServerSync;
  readonly #figures = new FiguresOfRoutes();
  #broken: BrokenRoutes = new Map();
  /** Tables and certificates that the current worker is known to have. */
  #synced: { readonly workerPid: number | undefined; readonly config: RenderedConfig } | undefined;
  #model: NodeNetworkModel | undefined;
  #queue: Promise<unknown> = Promise.resolve();
  /** Generation of the last model whose copies every worker follows. */
  #followed = 0;
  #problems: readonly NetProblem[] = [];
  #running: RunningHaproxy | undefined;
  #bound: readonly BoundPort[] = [];
  #unwatch: (() => void) | undefined;
  /**
   * HAProxy was looked at. The watched connection says that it has not ended or reloaded since; where none was
   * found, nobody but this process would have started one.
   */
  #isSure = false;
  #lastReloadMs = Number.NEGATIVE_INFINITY;
  #starts = 0;
  #tableChanges = 0;
  #reloads = 0;
  #closed = false;

  constructor(options: IngressControllerOptions) {
    this.#options = options;
    this.#haproxy = new Haproxy({ ...options, program: options.haproxyProgram });
    this.#servers = new ServerSync(this.#haproxy.cli, options.clock);
    this.#loop = options.driver.add({
      name: LOOP_NAME,
      purpose: "keeps HAProxy running and in line with the model",
      periodMs: CHECK_PERIOD_MS,
      run: () =>
        this.#serially(() => {
          this.#isSure = false;
          this.#limitLog();
          return this.#reconcile();
        }),
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

  /**
   * Generation of the model that requests follow: what it calls draining gets none, whatever else is
   * wrong with it. Behind the newest one while HAProxy does not answer.
   */
  get followed(): number {
    return this.#followed;
  }

  /** Ports that HAProxy holds now. */
  boundPorts(): readonly HostPort[] {
    return this.#bound;
  }

  get pid(): number | undefined {
    return this.#running?.masterPid;
  }

  figures(): IngressFigures {
    const oldWorkers = this.#running?.oldWorkers.length ?? 0;
    const tableChanges = this.#tableChanges;
    return { starts: this.#starts, reloads: this.#reloads, oldWorkers, tableChanges };
  }

  /** Connections and queued requests of an endpoint over all workers; 0 when HAProxy does not run. */
  async sessions(endpoint: HostPort): Promise<EndpointSessions> {
    const running = this.#isSureOfNone() ? undefined : await this.#haproxy.findSettled();
    const workers =
      running === undefined ? [] : [...running.oldWorkers.map(oldWorker), CURRENT_WORKER];
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

  get accessLogPath(): string {
    return this.#haproxy.accessLogPath;
  }

  /** Figures of all routes and ports, over reloads. Empty when HAProxy does not run. */
  async routeFigures(): Promise<readonly RouteFigures[]> {
    return this.#serially(async () => {
      await this.#observeFigures(await this.#haproxy.find());
      return this.#figures.all();
    });
  }

  /** Stops watching; HAProxy goes on unless `stopIngress`. */
  async close(options: { readonly stopIngress: boolean }): Promise<void> {
    this.#closed = true;
    this.#unwatch?.();
    await this.#options.driver.remove(LOOP_NAME);
    await this.#queue;
    this.#haproxy.writeKept();
    if (options.stopIngress) await this.#haproxy.stop();
  }

  /** One after the other; a failure of one does not keep the next from running. */
  #serially<T>(work: () => Promise<T>): Promise<T> {
    const next = this.#queue.then(work, work);
    this.#queue = next.catch(() => {});
    return next;
  }

  #limitLog(): void {
    const limits = this.#model?.ingress.accessLog ?? ACCESS_LOG_DEFAULT;
    const path = this.#haproxy.accessLogPath;
    if (rotateAccessLog(path, limits)) this.#options.log.info("access log put aside", { path });
  }

  async #reconcile(): Promise<{ readonly againMs?: number }> {
    if (this.#model === undefined || this.#closed) return {};
    const { pathProblem } = this.#haproxy;
    if (pathProblem !== undefined) throw new ProtocolError("limit_exceeded", pathProblem);
    const running = await this.#find();
    const model = this.#model;
    this.#broken = stillBroken(this.#broken, model);
    const wanted = planIngress(model, { broken: reasons(this.#broken) });
    if (running === undefined && wanted.binds.length > 0) await this.#haproxy.clearOrphans();
    const { plan, problems } = await this.#withFreePorts(wanted);
    // Without a port to serve there is no reason to start one; a running one stays, empty.
    if (running === undefined && plan.binds.length === 0) {
      this.#problems = problems;
      this.#followed = model.generation;
      return retryIn(problems);
    }
    const loaded = await this.#load(plan, running);
    if ("failure" in loaded) {
      this.#problems = [...problems, loaded.failure];
      // Copies that leave may not wait until the configuration is mended.
      await this.#follow(plan);
      return { againMs: PORT_RETRY_MS };
    }
    const newlyBroken = loaded.plan.problems.filter(({ code }) => code === "route_invalid");
    const known = problems.filter(({ code }) => code !== "route_invalid");
    this.#problems = [...known, ...newlyBroken];
    const leaving = await this.#follow(loaded.plan);
    await this.#syncTables(loaded.config);
    if (this.#followed !== model.generation) return { againMs: PORT_RETRY_MS };
    return leaving > 0 ? { againMs: LEAVING_POLL_MS } : retryIn(problems);
  }

  /** Brings the copies of every worker into line. Returns how many servers still have to leave. */
  async #follow(plan: IngressPlan): Promise<number> {
    // While none runs, none sends a request anywhere.
    const { leaving, isInLine } =
      this.#running === undefined
        ? { leaving: 0, isInLine: true }
        : await this.#servers.run(plan, this.#running.oldWorkers);
    if (isInLine) this.#followed = plan.model.generation;
    return leaving;
  }

  /** Looks for HAProxy and, when it is another than the known one, learns what it holds. */
  async #find(): Promise<RunningHaproxy | undefined> {
    const before = this.#running;
    // Most models change copies only: looking anew for each of them would double what they cost.
    if (this.#isSure && before !== undefined && before.oldWorkers.length === 0) return before;
    if (this.#isSureOfNone()) return undefined;
    this.#servers.forget();
    const running = await this.#haproxy.findSettled();
    this.#running = running;
    if (running === undefined) this.#bound = [];
    else if (running.masterPid !== before?.masterPid || running.reloads !== before.reloads) {
      await this.#learn(running);
    }
    this.#isSure = true;
    return running;
  }

  /** Nothing is to be served, and none runs: looking means reading the command lines of all processes. */
  #isSureOfNone(): boolean {
    if (!this.#isSure || this.#running !== undefined) return false;
    const ingress = this.#model?.ingress;
    return ingress?.httpRoutes.length === 0 && ingress.tcpPorts.length === 0;
  }

  async #learn(running: RunningHaproxy): Promise<void> {
    this.#running = running;
    const rows = parseStat(await this.#haproxy.cli.ask(`${CURRENT_WORKER} show stat -1 1 -1`));
    this.#bound = rows.flatMap((row) => parseBindName(row.backend) ?? []);
    this.#unwatch?.();
    this.#servers.forget();
    this.#unwatch = this.#haproxy.cli.watch(() => {
      this.#isSure = false;
      this.#loop.wake();
    });
  }

  /** Leaves out binds whose port somebody else holds: HAProxy would refuse the whole configuration. */
  async #withFreePorts(
    wanted: IngressPlan,
  ): Promise<{ readonly plan: IngressPlan; readonly problems: NetProblem[] }> {
    const problems = [...wanted.problems];
    const binds: IngressBind[] = [];
    for (const bind of wanted.binds) {
      const held = this.#bound.find((b) => b.address === bind.address && b.port === bind.port);
      const error = held === undefined ? await tryBind(bind) : undefined;
      if (error !== undefined) problems.push(...problemsOfBind(error, bind));
      else if (bind.address !== ANY_ADDRESS) binds.push(bind);
      else {
        // Published is published in both families, as engines do it; without IPv6 in its own alone.
        const error6 = held?.ipv6 ? undefined : await tryBind({ ...bind, address: "::" });
        binds.push(error6 === undefined ? inBothFamilies(bind) : bind);
        const isTaken = error6 instanceof Error && "code" in error6 && error6.code === "EADDRINUSE";
        if (isTaken) problems.push(...problemsOfBind(error6, { ...bind, address: "::" }));
      }
    }
    return { plan: { ...wanted, binds }, problems };
  }

  /** Starts or reloads HAProxy when its skeleton is not the wanted one; leaves out what it cannot read. */
  async #load(plan: IngressPlan, running: RunningHaproxy | undefined): Promise<Loaded> {
    const config = renderConfig(plan, this.#settings(running));
    if (running?.skeleton === config.skeleton) {
      this.#haproxy.keepConfig(config);
      return { plan, config };
    }
    const { clock } = this.#options;
    const waitMs = this.#lastReloadMs + RELOAD_INTERVAL_MS - clock.monotonic();
    if (running !== undefined && waitMs > 0) await sleep(clock, waitMs);
    const readable = await this.#readable(plan, config, running);
    if ("failure" in readable) return readable;
    await this.#observeFigures(running).catch(() => {});
    const result = await this.#startOrReload(readable.config, running);
    this.#lastReloadMs = clock.monotonic();
    if (result.kind !== "loaded") return { failure: this.#failureOf(result) };
    await this.#learn(result.running);
    return readable;
  }

  /** The plan without the routes that HAProxy cannot read. */
  async #readable(
    plan: IngressPlan,
    config: RenderedConfig,
    running: RunningHaproxy | undefined,
  ): Promise<Loaded> {
    const first = await this.#haproxy.check(config);
    if (first === undefined) return { plan, config };
    if (first.kind === "missing") return { failure: this.#failureOf(first) };
    const settings = this.#settings(running);
    const free = new Set(plan.binds.map(({ name }) => name));
    const without = (broken: BrokenRoutes) => {
      const next = planIngress(plan.model, { broken: reasons(broken) });
      const wishes = next.binds.flatMap((bind) => [inBothFamilies(bind), bind]);
      return { ...next, binds: wishes.filter(({ name }) => free.has(name)) };
    };
    const judge = async (broken: BrokenRoutes): Promise<Verdict> => {
      const tried = renderConfig(without(broken), settings);
      const refusal = await this.#haproxy.check(tried);
      if (refusal?.kind !== "refused") return { kind: "readable" };
      const routeIds = refusal.lines.flatMap((line) => tried.owners[line - 1] ?? []);
      return { kind: "unreadable", detail: refusal.detail, routeIds: [...new Set(routeIds)] };
    };
    const found = await findBroken(plan.model, this.#broken, judge);
    if ("detail" in found) {
      return { failure: { code: "part_failed", part: "ingress", detail: found.detail } };
    }
    this.#broken = found.broken;
    this.#options.log.warn("routes are left out", { ids: [...found.broken.keys()] });
    const usable = without(found.broken);
    return { plan: usable, config: renderConfig(usable, settings) };
  }

  #failureOf(result: Exclude<LoadResult, { kind: "loaded" }>): NetProblem {
    if (result.kind === "missing") {
      return { code: "program_missing", program: this.#options.haproxyProgram };
    }
    return { code: "part_failed", part: "ingress", detail: result.detail };
  }

  #startOrReload(config: RenderedConfig, running: RunningHaproxy | undefined): Promise<LoadResult> {
    if (running === undefined) {
      this.#starts++;
      this.#options.log.info("starting HAProxy");
      return this.#haproxy.start(config);
    }
    this.#reloads++;
    this.#options.log.info("reloading HAProxy", { from: running.skeleton, to: config.skeleton });
    return this.#haproxy.reload(config, running);
  }

  /** Tables and certificates of the current worker; old ones keep those that they began with. */
  async #syncTables(config: RenderedConfig): Promise<void> {
    const workerPid = this.#running?.currentWorkers[0];
    const known = this.#synced?.workerPid === workerPid ? this.#synced?.config : undefined;
    const ask = (commands: readonly string[]) =>
      this.#haproxy.cli.run(commands.map((command) => `${CURRENT_WORKER} ${command}`));
    const maps = [...config.maps].filter(([path, text]) => known?.maps.get(path) !== text);
    this.#tableChanges += await syncMaps(ask, new Map(maps));
    const list = config.files.get(config.certificateListPath);
    const listKnown = known?.files.get(config.certificateListPath);
    const [first] = config.certificates;
    const [firstKnown] = known?.certificates ?? [];
    if (list !== listKnown || first?.pem !== firstKnown?.pem) {
      const { certificateListPath, certificates } = config;
      this.#tableChanges += await syncCertificates(ask, certificateListPath, certificates);
    }
    this.#synced = { workerPid, config };
  }

  async #observeFigures(running: RunningHaproxy | undefined): Promise<void> {
    const figures = new Map<number, ReturnType<typeof parseBackendFigures>>();
    for (const pid of running?.oldWorkers ?? []) {
      const said = await this.#askWorker(oldWorker(pid), "show stat -1 2 -1").catch(() => "");
      if (said !== "") figures.set(pid, parseBackendFigures(said));
    }
    const [current] = running?.currentWorkers ?? [];
    if (current !== undefined) {
      const said = await this.#askWorker(CURRENT_WORKER, "show stat -1 2 -1");
      figures.set(current, parseBackendFigures(said));
    }
    this.#figures.observe(figures);
  }

  #askWorker(worker: string, command: string): Promise<string> {
    return this.#haproxy.cli.ask(`${worker} ${command}`);
  }

  #settings(running: RunningHaproxy | undefined): ConfigSettings {
    const ingress = this.#model?.ingress;
    const user = process.getuid?.() === 0 ? haproxyUser() : undefined;
    const { filesDir } = this.#options;
    return {
      statsSocketPath: this.#haproxy.statsSocketPath,
      insideAddress: `abns@berth-${createHash("sha256").update(filesDir).digest("hex").slice(0, 12)}`,
      filesDir,
      connectionsMax: connectionsMaxFor(descriptorsMax(), ingress?.connectionsMax),
      accessLog:
        (ingress?.accessLog?.enabled ?? true) &&
        (running === undefined || this.#haproxy.writesAccessLog(running)),
      ...(user === undefined ? {} : { user }),
    };
  }
}

/** A port that cannot be had is a problem of each route that needs it. */
function problemsOfBind(error: unknown, { address, port, routeIds }: IngressBind): NetProblem[] {
  return routeIds.map((id) => bindProblem(error, { id, address, port, protocol: "tcp" }));
}

/** What HAProxy has loaded, or why not. */
type Loaded =
  | { readonly plan: IngressPlan; readonly config: RenderedConfig }
  | { readonly failure: NetProblem };

function reasons(broken: BrokenRoutes): ReadonlyMap<string, string> {
  return new Map([...broken].map(([id, { detail }]) => [id, detail]));
}

/** Problems that may go without another model. */
const CURABLE: ReadonlySet<NetProblem["code"]> = new Set([
  "port_taken",
  "address_missing",
  "not_permitted",
  "program_missing",
  "part_failed",
]);

function retryIn(problems: readonly NetProblem[]): { readonly againMs?: number } {
  return problems.some(({ code }) => CURABLE.has(code)) ? { againMs: PORT_RETRY_MS } : {};
}
