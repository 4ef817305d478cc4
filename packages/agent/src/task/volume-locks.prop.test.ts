/**
 * The failure that no retry mends: two processes on one exclusive volume. Random wishes, crashes of the
 * agent at any boundary and moment, of the engine, of containers and of the whole host; never two writers,
 * positions only grow, and when the faults stop everything is as wanted.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { MINUTE_MS } from "@berth/base";
import { comparePositions, isForward } from "@berth/protocol";
import fc from "fast-check";
import type { ToldTask } from "../state/agent-state.ts";
import { sampleWithVolume } from "./assignment-sample.ts";
import { NodeBox } from "./task-bench.ts";

const TASKS = ["task01", "task02", "task03"] as const;
const VOLUMES = ["vol1", "vol2"] as const;

type Action =
  | { readonly kind: "tell"; readonly task: number; readonly run: boolean }
  | { readonly kind: "pass"; readonly ms: number }
  | { readonly kind: "kill-agent" }
  | { readonly kind: "kill-at"; readonly boundary: number }
  | { readonly kind: "kill-container"; readonly which: number }
  | { readonly kind: "crash-engine"; readonly survive: boolean }
  | { readonly kind: "power-off" }
  | { readonly kind: "contact" };

const action: fc.Arbitrary<Action> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("tell" as const),
      task: fc.nat(2),
      run: fc.nat(2).map((roll) => roll > 0),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.nat(3_000) }) },
  { weight: 2, arbitrary: fc.constant({ kind: "kill-agent" } as const) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant("kill-at" as const), boundary: fc.nat(9) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("kill-container" as const), which: fc.nat(5) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("crash-engine" as const), survive: fc.boolean() }),
  },
  { weight: 1, arbitrary: fc.constant({ kind: "power-off" } as const) },
  { weight: 2, arbitrary: fc.constant({ kind: "contact" } as const) },
);

/** A server's wishes, an agent that comes and goes, and what must hold at every moment. */
class Trial {
  readonly box: NodeBox;
  readonly wishes = new Map<string, ToldTask>();
  #killIn = Number.POSITIVE_INFINITY;

  constructor(seed: number) {
    this.box = new NodeBox(seed, { latencyMs: () => 20 });
    this.box.host.failAtRandom(() => 0.05);
    this.box.onBoundary = () => {
      if (this.#killIn-- === 0) this.box.kill();
    };
    this.box.start();
  }

  async act(step: Action): Promise<void> {
    const { box } = this;
    switch (step.kind) {
      case "tell":
        return await this.#tell(step.task, step.run);
      case "pass":
        return await box.pass(step.ms);
      case "kill-agent":
        return box.kill();
      case "kill-at":
        this.#killIn = step.boundary;
        return;
      case "kill-container": {
        const all = [...box.host.containers.values()];
        return all[step.which % Math.max(1, all.length)]?.signal("SIGKILL");
      }
      case "crash-engine":
        box.host.crashEngine({ survive: step.survive });
        await box.pass(50);
        return box.host.restartEngine();
      case "power-off":
        box.kill();
        box.host.powerOff();
        return box.host.boot();
      case "contact":
        if (box.alive) void box.life.contact();
        return;
    }
  }

  /** A dead agent is started by its supervisor, and what was told since reaches it. */
  async revive(): Promise<void> {
    if (this.box.alive) return;
    const life = this.box.start();
    await this.box.pass(0);
    if (this.box.alive) void life.tell(...this.wishes.values());
  }

  check(seen: Map<string, { attempt: number; state: string }>): void {
    assert.deepEqual(this.box.host.overlappingWriters(), []);
    if (!this.box.alive) return;
    for (const [task, record] of this.box.life.state.records) {
      const before = seen.get(task) as typeof record | undefined;
      if (before !== undefined && comparePositions(before, record) !== 0) {
        assert.ok(isForward(before, record), `${before.state} to ${record.state}`);
      }
      seen.set(task, record);
    }
  }

  async #tell(index: number, wanted: boolean): Promise<void> {
    const id = TASKS[index] ?? "task01";
    const before = this.wishes.get(id);
    // A task that is to stop never comes back: the server makes a new one.
    if (before?.intent === "stop") return;
    const volume = VOLUMES[index % 2] ?? "vol1";
    const told = {
      assignment: sampleWithVolume(id, volume),
      intent: wanted ? ("run" as const) : ("stop" as const),
    };
    this.wishes.set(id, told);
    if (this.box.alive) void this.box.life.tell(told);
  }

  /** Faults stop: what may run runs, what may not is gone. */
  async converge(): Promise<void> {
    const { box } = this;
    box.host.heal();
    this.#killIn = Number.POSITIVE_INFINITY;
    await this.revive();
    void box.life.contact();
    const done = () => {
      for (const [id, { intent }] of this.wishes) {
        const status = box.life.state.records.get(id);
        if (intent === "stop" && status?.state !== "removed") return false;
        if (intent === "run" && !status?.ready && !this.#isBlocked(id)) return false;
      }
      return true;
    };
    assert.ok(await box.until(done, 20 * MINUTE_MS), "converges");
  }

  /** Two wishes for one volume: only one of them can come true. */
  #isBlocked(id: string): boolean {
    const { records, locks } = this.box.life.state;
    const volume = this.wishes.get(id)?.assignment.task.volumes[0]?.engineName ?? "";
    const holder = locks.all().get(volume);
    return holder !== undefined && holder !== id && records.get(holder)?.ready === true;
  }
}

test("never two writers on an exclusive volume, whatever fails; all converges afterwards", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer(),
      fc.array(action, { minLength: 15, maxLength: 60 }),
      async (seed, actions) => {
        const trial = new Trial(seed);
        const seen = new Map<string, { attempt: number; state: string }>();
        for (const step of actions) {
          await trial.act(step);
          trial.check(seen);
          await trial.box.pass(30);
          await trial.revive();
          trial.check(seen);
        }
        await trial.converge();
        trial.check(seen);
        trial.box.kill();
      },
    ),
    { numRuns: 250, seed: 20_261_120 },
  );
});
