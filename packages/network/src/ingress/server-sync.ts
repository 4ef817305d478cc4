/**
 * Brings the servers of all workers into line with the plan, by the runtime API.
 *
 * A worker that a reload has left behind follows as well. What should be gone is remembered with the time
 * since when, for the drain's deadline. So are the servers that the current worker was last seen with: a
 * change of a copy is one connection, commands and the look at what came of them. `forget` when another
 * worker may be there, or somebody else may have changed it.
 */

import type { Clock } from "@berth/base";
import type { MasterCli } from "./master-cli.ts";
import type { IngressPlan } from "./plan.ts";
import { type ObservedServer, parseServersState, planServers } from "./runtime.ts";

/** Add, enable, confirm: two rounds do; more means that HAProxy refuses something. */
const ROUNDS_MAX = 4;

const LOOK = "show servers state";

/** How commands to the current worker begin. */
export const CURRENT_WORKER = "@1";

/** How commands to a worker that a reload has left behind begin. */
export function oldWorker(pid: number): string {
  return `@!${pid}`;
}

export interface SyncResult {
  /** Servers that still have to go. */
  readonly leaving: number;
  /** The current worker was seen to send requests to no other copy than the plan's ready ones. */
  readonly isInLine: boolean;
}

export class ServerSync {
  readonly #cli: MasterCli;
  readonly #clock: Clock;
  readonly #leavingSince = new Map<string, number>();
  #observed: readonly ObservedServer[] | undefined;

  constructor(cli: MasterCli, clock: Clock) {
    this.#cli = cli;
    this.#clock = clock;
  }

  async run(plan: IngressPlan, oldWorkers: readonly number[]): Promise<SyncResult> {
    for (const pid of oldWorkers) {
      // An old worker may end at any time; it then has nothing left that could go wrong.
      await this.#worker(plan, oldWorker(pid), true).catch(() => {});
    }
    let leaving: readonly string[] = [];
    let observed = this.#observed ?? (await this.#look(CURRENT_WORKER));
    // What is not known to have come to its end is looked at anew.
    this.#observed = undefined;
    let isInLine = false;
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const result = this.#plan(plan, observed, false);
      leaving = result.leaving;
      isInLine = !result.commands.some(takesOut);
      if (result.commands.length === 0) break;
      const said = await this.#cli.run(commandsTo(CURRENT_WORKER, [...result.commands, LOOK]));
      observed = parseServersState(said);
      if (result.commands.every(isDeletion)) break;
    }
    this.#observed = observed;
    this.#forgetGone(new Set(leaving));
    return { leaving: leaving.length, isInLine };
  }

  /** What was seen may be true no more. */
  forget(): void {
    this.#observed = undefined;
  }

  async #worker(plan: IngressPlan, worker: string, old: boolean): Promise<void> {
    const { commands } = this.#plan(plan, await this.#look(worker), old);
    if (commands.length > 0) await this.#cli.run(commandsTo(worker, commands));
  }

  async #look(worker: string): Promise<ObservedServer[]> {
    return parseServersState(await this.#cli.ask(`${worker} ${LOOK}`));
  }

  #plan(plan: IngressPlan, observed: readonly ObservedServer[], old: boolean) {
    const drainTimeoutMs = plan.model.ingress.drainTimeoutMs;
    const overdue = (server: string) => this.#leavingFor(server) >= drainTimeoutMs;
    return planServers(plan.backends, observed, { old, overdue });
  }

  #leavingFor(server: string): number {
    const nowMs = this.#clock.monotonic();
    const since = this.#leavingSince.get(server) ?? nowMs;
    this.#leavingSince.set(server, since);
    return nowMs - since;
  }

  #forgetGone(leaving: ReadonlySet<string>): void {
    for (const server of this.#leavingSince.keys()) {
      if (!leaving.has(server)) this.#leavingSince.delete(server);
    }
  }
}

function commandsTo(worker: string, commands: readonly string[]): string[] {
  return commands.map((command) => `${worker} ${command}`);
}

/** Before this command a request could go where none may go: it is looked at once more to be sure. */
function takesOut(command: string): boolean {
  return command.endsWith(" state drain") || command.endsWith(" state maint");
}

function isDeletion(command: string): boolean {
  return command.startsWith("del server") || command.startsWith("shutdown sessions");
}
