/**
 * Ends copies that another node may be given when this one reaches no server (`failover: fence`): after a deadline
 * that stands in each such task, counted on the boot-time clock from when the last call that a server answered
 * was sent. The server waits longer than that (design: docs/design/nodes.md), so both never run.
 *
 * What was ended begins again only after a whole list of a server: a call that is answered says nothing about
 * what was decided meanwhile. The time of the last contact is on disk, so that an agent that is started again
 * in between does not begin to count anew. Nodes without such tasks pay nothing: the loop sleeps.
 */

import {
  type Driver,
  formatDuration,
  type Logger,
  type Loop,
  type LoopResult,
  SECOND_MS,
} from "@berth/base";
import type { Task } from "@berth/protocol";
import type { HostFacts } from "./host-facts.ts";
import type { Runtime } from "./runtime/port.ts";
import type { AgentState } from "./state/agent-state.ts";
import type { Containers } from "./task/containers.ts";
import { isAlive } from "./task/step-input.ts";

/** Timers stand still while a host sleeps, the clock that counts does not: it is looked at this often. */
const LOOK_MS = SECOND_MS;
/**
 * A process that still runs so shortly before a server takes it for ended is killed without any record of it: the
 * usual way waits for the disk, which may be full. Enough for the engine, and little enough to leave a grace its time.
 */
const KILL_BEFORE_MS = 8 * SECOND_MS;
/** Of the server's time, since its clock may be the faster one. */
const DRIFT_SHARE = 0.01;
/** The last contact is written down this often; a new agent's deadline comes early by as much at most. */
const WRITE_MS = 5 * SECOND_MS;

export interface IsolationOptions {
  readonly state: AgentState;
  readonly host: Pick<HostFacts, "bootId" | "bootMs">;
  readonly driver: Driver;
  readonly log: Logger;
  readonly containers: Pick<Containers, "of">;
  readonly runtime: Pick<Runtime, "killContainer">;
  /** Tasks are isolated now, or are not any more. `relist`: a server has to tell everything anew. */
  readonly onChange: (change: { readonly relist: boolean }) => void;
}

export class Isolation {
  readonly #options: IsolationOptions;
  readonly #isolated = new Set<string>();
  readonly #loop: Loop;
  #contactMs: number;
  #writtenMs: number;

  constructor(options: IsolationOptions) {
    this.#options = options;
    const { state, host, driver } = options;
    const { contact, contactBootId } = state.server;
    // After a reboot nothing of it runs, and begins only after contact (rule `wait-contact`). In the same boot
    // without a note nobody knows for how long there was no contact.
    const unknown = contactBootId === host.bootId ? Number.NEGATIVE_INFINITY : host.bootMs();
    this.#contactMs = contact?.bootId === host.bootId ? contact.bootMs : unknown;
    this.#writtenMs = this.#contactMs;
    this.#look();
    this.#loop = driver.add({
      name: "isolation",
      purpose: "Ends copies that may be started elsewhere when no server is reached.",
      run: async () => this.#run(),
    });
  }

  isIsolated(task: string): boolean {
    return this.#isolated.has(task);
  }

  /** Tasks that may have to be ended have come or gone. */
  wake(): void {
    this.#loop.wake();
  }

  /** A server answered what was sent at `sentMs` (boot-time clock). */
  heard(sentMs: number): void {
    const { state, host } = this.#options;
    this.#contactMs = Math.max(this.#contactMs, sentMs);
    if (this.#contactMs - this.#writtenMs < WRITE_MS || this.#deadlines().length === 0) return;
    const writtenMs = this.#writtenMs;
    this.#writtenMs = this.#contactMs;
    const contact = { bootId: host.bootId, bootMs: this.#contactMs };
    state.putServer({ ...state.server, contact }).catch((error: unknown) => {
      // A full disk, say: tried again with the next call that is answered.
      this.#writtenMs = writtenMs;
      this.#options.log.warn("the time of the last contact was not written", { error });
    });
  }

  /** A whole list was taken in: what it says is the truth about what runs here. */
  listed(): void {
    this.#loop.wake();
    if (this.#isolated.size === 0) return;
    this.#isolated.clear();
    this.#options.onChange({ relist: false });
  }

  #run(): LoopResult {
    if (this.#look()) this.#options.onChange({ relist: true });
    this.#killLate();
    return this.#deadlines().length === 0 ? undefined : { againMs: LOOK_MS };
  }

  /** Notes tasks whose deadline has passed; true when there are new ones. */
  #look(): boolean {
    const { host, log } = this.#options;
    const silentMs = host.bootMs() - this.#contactMs;
    const passed = this.#deadlines().filter(
      ({ task, deadlineMs }) => silentMs >= deadlineMs && !this.#isolated.has(task),
    );
    for (const { task, deadlineMs } of passed) {
      this.#isolated.add(task);
      const after = formatDuration(deadlineMs);
      log.warn(`no server was reached for ${after}: a copy that may run elsewhere ends`, { task });
    }
    return passed.length > 0;
  }

  #killLate(): void {
    const { host, containers, runtime, log } = this.#options;
    const silentMs = host.bootMs() - this.#contactMs;
    for (const { task, waitMs } of this.#deadlines()) {
      if (!this.#isolated.has(task)) continue;
      if (silentMs < waitMs * (1 - DRIFT_SHARE) - KILL_BEFORE_MS) continue;
      for (const { id } of containers.of(task).filter((each) => isAlive(each))) {
        log.error("a copy that may run elsewhere has not ended in time: it is killed", { task });
        // Looked at again with the next turn.
        runtime.killContainer(id, "SIGKILL").catch((error: unknown) => {
          log.error("the copy could not be killed: it may run twice", { task, error });
        });
      }
    }
  }

  #deadlines(): { readonly task: string; readonly deadlineMs: number; readonly waitMs: number }[] {
    const { state } = this.#options;
    return [...state.told.values()].flatMap(({ assignment, intent }) => {
      const { id, isolation }: Pick<Task, "id" | "isolation"> = assignment.task;
      if (isolation === undefined || intent !== "run") return [];
      return [{ task: id, ...isolation }];
    });
  }
}
