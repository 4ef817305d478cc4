/**
 * The tasks of this node and who runs each: one runner and one loop a task, woken by what concerns it.
 *
 * Nothing is scanned while nothing happens. O(1) a wake-up of one task, O(tasks) when a lock is freed or
 * the first contact with a server comes.
 */

import type { Driver } from "@berth/base";
import type { ContainerState } from "../runtime/port.ts";
import { LABEL_EXCLUSIVE } from "../state/volume-locks.ts";
import { TaskRunner } from "./runner.ts";
import type { WaitReason } from "./step-input.ts";
import { isAlive } from "./step-input.ts";
import type { TaskPorts } from "./task-ports.ts";

export class TaskRoster {
  readonly #ports: TaskPorts;
  readonly #driver: Driver;
  readonly #runners = new Map<string, TaskRunner>();

  constructor(ports: Omit<TaskPorts, "wakeWaiting" | "podContainer">, driver: Driver) {
    this.#driver = driver;
    this.#ports = {
      ...ports,
      wakeWaiting: (what) => this.wakeWaiting(what),
      podContainer: (task) => this.#podContainer(task),
    };
  }

  /** Follows what was told: runners for new tasks, changed wishes to the others. */
  follow(tasks: Iterable<string>): void {
    const { state } = this.#ports;
    for (const task of tasks) {
      const told = state.told.get(task);
      if (told === undefined) continue;
      const runner = this.#runners.get(task);
      if (runner === undefined) this.#add(new TaskRunner(told, this.#ports));
      else runner.tell(told);
    }
  }

  wake(task: string): void {
    this.#runners.get(task)?.wake();
  }

  wakeAll(): void {
    for (const runner of this.#runners.values()) runner.wake();
  }

  /** Containers of tasks that live. */
  get living(): number {
    return [...this.#ports.containers.all()].filter((container) => isAlive(container)).length;
  }

  /** The host stops by `untilMs` (wall time). Answers from when on nothing is waited for any more. */
  stopWithHost(untilMs: number): number {
    const { hostStop, clock } = this.#ports;
    hostStop.begin(clock.now(), untilMs);
    this.reconsiderAll();
    return hostStop.hurryAt;
  }

  /** Everything that waits is looked at again under the present deadline. */
  reconsiderAll(): void {
    for (const runner of this.#runners.values()) runner.reconsider();
  }

  wakeWaiting(what: WaitReason): void {
    for (const runner of this.#runners.values()) {
      // Members of a pod also look when they run: the container that they joined may be another one.
      if (runner.waiting === what || what === "pod") this.#wakeFor(runner, what);
    }
  }

  /** A container was seen to change. */
  containerChanged(container: ContainerState | undefined, task: string): void {
    this.wake(task);
    // Whose turn it is depends on who lives.
    if (this.#ports.hostStop.isUnderWay) this.wakeAll();
    if (!isAlive(container)) {
      const exclusive = container === undefined || container.labels[LABEL_EXCLUSIVE] !== undefined;
      if (exclusive) this.wakeWaiting("lock");
      this.wakeWaiting("pod");
    }
  }

  /** Why each waiting task waits, for `berth debug`. */
  waits(): ReadonlyMap<string, WaitReason> {
    const waits = new Map<string, WaitReason>();
    for (const [task, { waiting }] of this.#runners) {
      if (waiting !== undefined && waiting !== "settled") waits.set(task, waiting);
    }
    return waits;
  }

  #wakeFor(runner: TaskRunner, what: WaitReason): void {
    const joins = this.#ports.state.told.get(runner.task)?.assignment.task.podTask;
    if (what !== "pod" || joins !== undefined) runner.wake();
  }

  #podContainer(task: string): ContainerState | undefined {
    const { state, containers } = this.#ports;
    const record = state.records.get(task);
    if (record?.containerId === undefined || record.state !== "running") return undefined;
    const container = containers.get(record.containerId);
    return isAlive(container) ? container : undefined;
  }

  #add(runner: TaskRunner): void {
    this.#runners.set(runner.task, runner);
    const name = `task-${runner.task}`;
    const loop = this.#driver.add({
      name,
      purpose: "Moves one task to where it should be.",
      run: async (signal) => {
        const result = await runner.run(signal);
        if (!runner.forgotten) return result;
        this.#runners.delete(runner.task);
        // Not awaited: it waits for this very run.
        void this.#driver.remove(name);
        return undefined;
      },
    });
    runner.bind(loop);
  }
}
