/**
 * Dialogues with `step`: readable lives of tasks in testdata/*.txt. A file is a row of blocks: a command,
 * `----`, what was said. `BERTH_GOLDEN=1` rewrites what is said; commit only differences that you can
 * explain.
 *
 *     task [exclusive] [restart=POLICY[:MAX]] [pause=MS] [window=MS] [postStart] [drain=MS]    begins anew
 *     want run|stop|forget · pause · resume · now +MS · reboot
 *     container none|created|running|exited CODE · leftover created|exited|none
 *     fact NAME=VALUE      contactSinceBoot, prepared, attended, probing, hooked, drained, gathered,
 *                          lock=HOLDER, pod=waiting|ID|alone, startup=, ready=, live=
 *                          hostStop=no|later|now|hurry|isolated
 *     words TEXT           what the last failed check said · said: what the report says
 *     done OPERATION · failed OPERATION CODE
 *     step                 one decision · rest: decisions and operations until it waits
 */

import assert from "node:assert/strict";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Assignment, RestartSpec } from "@berth/protocol";
import { type ContainerState, LABEL_ATTEMPT } from "../runtime/port.ts";
import { sampleAssignment } from "./assignment-sample.ts";
import type { Operation } from "./operation.ts";
import type { TaskRecord } from "./record.ts";
import { settle, settleFailure } from "./settle.ts";
import { step } from "./step.ts";
import type { Intent, StepFacts, StepInput, Verdict } from "./step-input.ts";

const FRESH: StepFacts = {
  bootId: "boot1",
  contactSinceBoot: true,
  lock: { kind: "free" },
  pod: { kind: "alone" },
  prepared: false,
  attended: false,
  probing: false,
  probes: { startup: "good", ready: "pending", live: "good" },
  liveTurn: true,
  hooked: false,
  drained: false,
  gathered: false,
  hostStop: "no",
};
const REST_TURNS_MAX = 30;

/** One task and the world around it, as far as a dialogue tells it. */
class Scene {
  assignment: Assignment = sampleAssignment("task01");
  record: TaskRecord | undefined;
  intent: Intent = "run";
  container: ContainerState | undefined;
  leftovers: ContainerState[] = [];
  facts: StepFacts = FRESH;
  now = 1_000_000;

  respond(words: readonly string[]): string {
    const [command = "", ...rest] = words;
    const first = rest[0] ?? "";
    switch (command) {
      case "task":
        return this.#begin(rest);
      case "want":
        this.intent = first as Intent;
        return "";
      case "pause":
      case "resume":
        this.#pause(command === "pause");
        return "";
      case "now":
        this.now += Number(first);
        return `${this.now - 1_000_000} ms`;
      case "reboot":
        this.facts = { ...FRESH, bootId: "boot2", contactSinceBoot: false };
        if (this.container?.phase === "running") this.#observe("exited", 255);
        return "";
      case "container":
        this.#observe(first, Number(rest[1] ?? 0));
        return "";
      case "leftover":
        this.leftovers =
          first === "none" ? [] : [containerOf(first as ContainerState["phase"], 0, 0)];
        return "";
      case "fact":
        for (const word of rest) this.#fact(word);
        return "";
      case "words":
        this.#words(rest.join(" "));
        return "";
      case "said":
        return this.record?.message ?? "nothing";
      case "done":
        this.#done(first as Operation);
        return this.#line();
      case "failed":
        return this.#failed(first as Operation, rest[1] ?? "engine_error");
      case "step":
        return this.#step();
      case "rest":
        return this.#rest();
      default:
        throw new SyntaxError(`no command ${command}`);
    }
  }

  #begin(words: readonly string[]): string {
    const option = (name: string) =>
      words.find((word) => word.startsWith(`${name}=`))?.slice(name.length + 1);
    const [policy = "always", max] = (option("restart") ?? "always").split(":");
    const restart: RestartSpec = {
      policy: policy as RestartSpec["policy"],
      ...(max === undefined ? {} : { maxAttempts: Number(max) }),
      ...(option("pause") === undefined ? {} : { delayMs: Number(option("pause")) }),
      ...(option("window") === undefined ? {} : { windowMs: Number(option("window")) }),
    };
    this.assignment = sampleAssignment("task01", {
      task: { exclusive: words.includes("exclusive") },
      spec: {
        restart,
        drainMs: Number(option("drain") ?? 1_000),
        ...(words.includes("postStart") ? { postStart: [["true"]] } : {}),
      },
    });
    this.record = undefined;
    this.container = undefined;
    this.leftovers = [];
    this.intent = "run";
    this.facts = FRESH;
    return "";
  }

  #pause(isPaused: boolean): void {
    const { paused: _before, ...task } = this.assignment.task;
    const paused = isPaused ? { paused: { at: this.now, by: "admin" } } : {};
    this.assignment = { ...this.assignment, task: { ...task, ...paused } };
  }

  #observe(phase: string, exitCode: number): void {
    const attempt = this.record?.attempt ?? 1;
    if (phase === "none") this.container = undefined;
    else this.container = containerOf(phase as ContainerState["phase"], exitCode, attempt);
  }

  #words(message: string): void {
    this.facts = { ...this.facts, probes: { ...this.facts.probes, message } };
  }

  #fact(word: string): void {
    const [name = "", value = ""] = word.split("=");
    if (name === "startup" || name === "ready" || name === "live") {
      this.facts = { ...this.facts, probes: { ...this.facts.probes, [name]: value as Verdict } };
    } else if (name === "hostStop") {
      this.facts = { ...this.facts, hostStop: value as StepFacts["hostStop"] };
    } else if (name === "lock") {
      const held = { kind: "held" as const, engineName: "vol1", holder: value };
      this.facts = { ...this.facts, lock: value === "free" ? { kind: "free" } : held };
    } else if (name === "pod") {
      const pod =
        value === "alone"
          ? { kind: "alone" as const }
          : value === "waiting"
            ? { kind: "waiting" as const, task: "main01" }
            : { kind: "running" as const, task: "main01", containerId: value };
      this.facts = { ...this.facts, pod };
    } else {
      this.facts = { ...this.facts, [name]: value === "true" };
    }
  }

  #input(): StepInput {
    const { intent, assignment, record, container, leftovers, facts, now } = this;
    return { intent, assignment, record, container, leftovers, facts, now };
  }

  #step(): string {
    const { next, command, wait, waitUntil, rule } = step(this.#input());
    const isNew = this.record !== undefined && next.attempt !== this.record.attempt;
    // The container of the attempt before is a leftover now.
    if (isNew) {
      if (this.container !== undefined) this.leftovers = [...this.leftovers, this.container];
      this.container = undefined;
      const { bootId, contactSinceBoot, lock, pod, hostStop } = this.facts;
      this.facts = { ...FRESH, bootId, contactSinceBoot, lock, pod, hostStop };
    }
    this.record = next;
    const until = waitUntil === undefined ? "" : ` for ${waitUntil - this.now} ms`;
    const then = command ?? (wait === undefined ? "goes on" : `waits (${wait}${until})`);
    return `${rule}: ${this.#line()} → ${then}`;
  }

  #rest(): string {
    const said: string[] = [];
    for (let turn = 0; turn < REST_TURNS_MAX; turn++) {
      const line = this.#step();
      said.push(line);
      const then = line.slice(line.lastIndexOf("→") + 2);
      if (then.startsWith("waits") || then === "forget") return said.join("\n");
      if (then !== "goes on") this.#done(then as Operation);
    }
    throw new SyntaxError("it does not come to rest");
  }

  /** What the operation does to the world when all goes well. */
  #done(operation: Operation): void {
    const fact = (changed: Partial<StepFacts>) => {
      this.facts = { ...this.facts, ...changed };
    };
    const { record } = this;
    if (record === undefined) return;
    const id = `c${record.attempt}`;
    switch (operation) {
      case "pull":
        this.record = settle(record, { operation, imageId: "img" });
        return;
      case "prepare":
        fact({ prepared: true });
        return;
      case "create": {
        this.#observe("created", 0);
        const { pod } = this.facts;
        const podContainer = pod.kind === "running" ? { podContainerId: pod.containerId } : {};
        this.record = settle(record, { operation, containerId: id, ...podContainer });
        return;
      }
      case "start":
        this.#observe("running", 0);
        fact({ attended: true });
        this.record = settle(record, { operation, startedAt: this.now, containerId: id });
        return;
      case "hook":
        fact({ hooked: true });
        return;
      case "adopt":
        fact({ attended: true });
        return;
      case "probe":
        fact({ probing: true, probes: { ...this.facts.probes, ready: "good" } });
        return;
      case "leave": {
        const drainUntil = this.now + this.assignment.spec.drainMs;
        this.record = settle(record, { operation, acknowledgedAt: this.now, drainUntil });
        return;
      }
      case "drain":
        fact({ drained: true });
        return;
      case "stop":
        this.#observe("exited", 143);
        return;
      case "exit":
        fact({ gathered: true });
        this.record = settle(record, { operation, logTail: ["bye"] });
        return;
      case "sweep":
        this.leftovers = [];
        if (record.state === "exited") this.container = undefined;
        return;
      case "remove":
        this.leftovers = [];
        this.container = undefined;
        this.record = settle(record, { operation });
        return;
      case "ready":
      case "forget":
        return;
    }
  }

  #failed(operation: Operation, code: string): string {
    if (this.record === undefined) return "";
    const failure = { operation, code, message: `${operation} failed` };
    this.record = settleFailure(this.record, failure, this.now);
    return this.#line();
  }

  /** Until when the present state of leaving may last. */
  #deadlines({ state, acknowledgeUntil, acknowledgedAt, drainUntil, stopUntil }: TaskRecord) {
    const draining = acknowledgedAt === undefined ? acknowledgeUntil : drainUntil;
    const until = state === "draining" ? draining : state === "stopping" ? stopUntil : undefined;
    return until === undefined ? [] : [`${until - this.now} ms left`];
  }

  #line(): string {
    const { record } = this;
    if (record === undefined) return "nothing";
    const { attempt, state, ready, exitCode, outcome, failures } = record;
    return [
      `${state} ${attempt}`,
      ...(ready ? ["ready"] : []),
      ...this.#deadlines(record),
      ...(exitCode === undefined ? [] : [`code ${exitCode}`]),
      ...(failures.length === 0 ? [] : [`failures ${failures.length}`]),
      ...(outcome === undefined ? [] : [outcome]),
    ].join(", ");
  }
}

function containerOf(
  phase: ContainerState["phase"],
  exitCode: number,
  attempt: number,
): ContainerState {
  const labels = { [LABEL_ATTEMPT]: String(attempt) };
  const base = { id: `c${attempt}`, name: "c", labels, imageId: "img", phase, oomKilled: false };
  return phase === "exited" ? { ...base, exitCode } : base;
}

function replay(text: string): string {
  const scene = new Scene();
  const blocks = text.trimEnd().split(/\n\n+/);
  const said = blocks.map((block) => {
    const lines = block.split("\n");
    const asked = lines.slice(0, lines.includes("----") ? lines.indexOf("----") : undefined);
    const answers = asked
      .filter((line) => !line.startsWith("#"))
      .map((line) => scene.respond(line.split(/\s+/)))
      .filter((answer) => answer !== "");
    return [...asked, ...(answers.length === 0 ? [] : ["----", ...answers])].join("\n");
  });
  return `${said.join("\n\n")}\n`;
}

const folder = fileURLToPath(new URL("testdata", import.meta.url));
for (const file of readdirSync(folder).filter((name) => name.endsWith(".txt"))) {
  test(`dialogue ${file}`, () => {
    const path = `${folder}/${file}`;
    const before = readFileSync(path, "utf8");
    const after = replay(before);
    if (process.env["BERTH_GOLDEN"] === "1") writeFileSync(path, after);
    else assert.equal(after, before);
  });
}
