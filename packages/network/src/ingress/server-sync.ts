/**
 * Brings the servers of all workers into line with the plan, by the runtime API.
 *
 * A worker that a reload has left behind follows as well. What should be gone is remembered with the time
 * since when, for the drain's deadline.
 */

import type { Clock } from "@berth/base";
import type { MasterCli } from "./master-cli.ts";
import type { IngressPlan } from "./plan.ts";
import { parseServersState, planServers } from "./runtime.ts";

/** Add, enable, confirm: two rounds do; more means that HAProxy refuses something. */
const ROUNDS_MAX = 4;

/** How commands to the current worker begin. */
export const CURRENT_WORKER = "@1";

/** How commands to a worker that a reload has left behind begin. */
export function oldWorker(pid: number): string {
  return `@!${pid}`;
}

export class ServerSync {
  readonly #cli: MasterCli;
  readonly #clock: Clock;
  readonly #leavingSince = new Map<string, number>();

  constructor(cli: MasterCli, clock: Clock) {
    this.#cli = cli;
    this.#clock = clock;
  }

  /** Returns how many servers still have to leave. */
  async run(plan: IngressPlan, oldWorkers: readonly number[]): Promise<number> {
    for (const pid of oldWorkers) {
      // An old worker may end at any time; it then has nothing left that could go wrong.
      await this.#worker(plan, oldWorker(pid), true).catch(() => {});
    }
    let leaving: readonly string[] = [];
    for (let round = 0; round < ROUNDS_MAX; round++) {
      const result = await this.#worker(plan, CURRENT_WORKER, false);
      leaving = result.leaving;
      if (result.commands.length === 0 || result.commands.every(isDeletion)) break;
    }
    this.#forgetGone(new Set(leaving));
    return leaving.length;
  }

  async #worker(plan: IngressPlan, worker: string, old: boolean) {
    const observed = parseServersState(await this.#cli.ask(`${worker} show servers state`));
    const drainTimeoutMs = plan.model.ingress.drainTimeoutMs;
    const overdue = (server: string) => this.#leavingFor(server) >= drainTimeoutMs;
    const result = planServers(plan.backends, observed, { old, overdue });
    if (result.commands.length > 0) {
      await this.#cli.run(result.commands.map((command) => `${worker} ${command}`));
    }
    return result;
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

function isDeletion(command: string): boolean {
  return command.startsWith("del server") || command.startsWith("shutdown sessions");
}
