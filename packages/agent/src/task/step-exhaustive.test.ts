import assert from "node:assert/strict";
import { test } from "node:test";
import { comparePositions, TASK_STATES, type TaskState } from "@berth/protocol";
import { type ContainerState, LABEL_ATTEMPT } from "../runtime/port.ts";
import { sampleAssignment } from "./assignment-sample.ts";
import { OPERATIONS } from "./operation.ts";
import { newRecord, type TaskRecord } from "./record.ts";
import { STEP_TABLE, step } from "./step.ts";
import type { StepFacts, StepInput, Verdict } from "./step-input.ts";

const STATES = Object.keys(TASK_STATES) as TaskState[];
const BOTH = [true, false] as const;

function container(phase: ContainerState["phase"], exitCode?: number): ContainerState {
  return {
    id: `c-${phase}`,
    name: "c",
    labels: { [LABEL_ATTEMPT]: "1" },
    imageId: "i",
    phase,
    oomKilled: false,
    ...(exitCode === undefined ? {} : { exitCode }),
  };
}

const CONTAINERS = [
  undefined,
  container("created"),
  container("running"),
  container("paused"),
  container("exited", 0),
  container("exited", 1),
  container("dead"),
];
const GATES: readonly Partial<StepFacts>[] = [
  {},
  { contactSinceBoot: false },
  { lock: { kind: "held", engineName: "v", holder: "other" } },
  { pod: { kind: "waiting", task: "main" } },
  { hostStop: "later" },
  { hostStop: "now" },
  { hostStop: "hurry" },
  { hostStop: "isolated" },
];
const FACTS: StepFacts = {
  bootId: "b",
  contactSinceBoot: true,
  lock: { kind: "free" },
  pod: { kind: "alone" },
  prepared: true,
  attended: true,
  probing: true,
  probes: { startup: "good", ready: "good", live: "good" },
  liveTurn: true,
  hooked: true,
  drained: true,
  gathered: true,
  hostStop: "no",
};

function* facts(): Generator<StepFacts> {
  for (const gate of GATES)
    for (const prepared of BOTH)
      for (const attended of BOTH)
        for (const probing of BOTH)
          for (const ready of ["pending", "good", "bad"] as Verdict[])
            for (const live of ["good", "bad"] as Verdict[])
              for (const drained of BOTH)
                for (const gathered of BOTH) {
                  const probes = { startup: "good" as const, ready, live };
                  const varied = { prepared, attended, probing, probes, drained, gathered };
                  yield { ...FACTS, ...gate, ...varied };
                }
}

function* records(): Generator<TaskRecord | undefined> {
  yield undefined;
  for (const state of STATES) {
    const attempt = state === "assigned" ? 0 : 1;
    const record = { ...newRecord("t", "b"), attempt, state };
    yield record;
    if (state === "pulling") yield { ...record, imageId: "i" };
    if (state === "exited") yield { ...record, startedAt: 1, exitCode: 0, everRan: true };
    if (state !== "running" && state !== "draining") continue;
    const published = { ...record, imageId: "i", ready: state === "running", published: true };
    yield { ...published, drainUntil: 9 };
    if (state !== "draining") continue;
    for (const acknowledgeUntil of [4, 9]) {
      yield { ...published, acknowledgeUntil };
      yield { ...published, acknowledgeUntil, acknowledgedAt: 3, drainUntil: 9 };
    }
  }
}

function* inputs(): Generator<StepInput> {
  const spec = { restart: { policy: "on-failure" as const } };
  const paused = { at: 1, by: "admin" };
  const assignments = [
    sampleAssignment("t", { task: { exclusive: true }, spec }),
    sampleAssignment("t", { task: { exclusive: true, paused }, spec }),
  ];
  const leftovers = [[], [container("created")], [container("exited", 1)]];
  for (const assignment of assignments)
    for (const record of records())
      for (const intent of ["run", "stop", "forget"] as const)
        for (const observed of CONTAINERS)
          for (const left of leftovers)
            for (const fact of facts())
              yield {
                intent,
                assignment,
                record,
                container: observed,
                leftovers: left,
                facts: fact,
                now: 5,
              };
}

test("step is total, never goes back, and records a state in which its operation belongs", () => {
  const seen = new Set<string>();
  let cases = 0;
  for (const input of inputs()) {
    const decision = step(input);
    seen.add(decision.rule);
    cases++;
    if (input.record !== undefined && comparePositions(input.record, decision.next) > 0) {
      assert.fail(`${decision.rule} goes back: ${JSON.stringify(input)}`);
    }
    const { command, next, wait } = decision;
    if (command === undefined) continue;
    assert.equal(wait, undefined);
    const states: readonly TaskState[] = OPERATIONS[command].states;
    assert.ok(states.includes(next.state), `${decision.rule}: ${command} in ${next.state}`);
  }
  assert.ok(cases > 100_000, `${cases} cases`);
  const unreached = STEP_TABLE.map((rule) => rule.name).filter((name) => !seen.has(name));
  // Each of these has a dialogue of its own: its facts are not varied here.
  assert.deepEqual(unreached, [
    "hook",
    "pod-replaced",
    "startup-bad",
    "tell-unready",
    "healthy",
    "back-off",
  ]);
});

test("an exclusive task never comes to life past a gate", () => {
  for (const input of inputs()) {
    const { contactSinceBoot, lock, pod } = input.facts;
    const isHostGoing = input.facts.hostStop !== "no";
    const shut = !contactSinceBoot || lock.kind === "held" || pod.kind === "waiting" || isHostGoing;
    const mayWake = input.leftovers.some((left) => left.phase === "created");
    if (!shut && !mayWake) continue;
    const alive = input.container?.phase === "running" || input.container?.phase === "paused";
    if (alive) continue;
    const { command } = step(input);
    assert.ok(command !== "create" && command !== "start", `${command} past a shut gate`);
  }
});

/** Does operations as a world without failures would; what changes is the input of the next step. */
function obey(input: StepInput, next: TaskRecord, command: string | undefined): StepInput {
  const base = { ...input, record: next };
  const fact = (changed: Partial<StepFacts>) => ({ ...base, facts: { ...base.facts, ...changed } });
  switch (command) {
    case "adopt":
      return fact({ attended: true });
    case "sweep":
      return {
        ...base,
        leftovers: [],
        container: next.state === "exited" ? undefined : base.container,
      };
    case "pull":
      return { ...base, record: { ...next, imageId: "i" } };
    case "prepare":
      return fact({ prepared: true });
    case "create":
      return { ...base, container: container("created") };
    case "start":
      return { ...fact({ attended: true, probing: false }), container: container("running") };
    case "probe":
      return fact({ probing: true, probes: FACTS.probes });
    case "leave":
      return { ...base, record: { ...next, acknowledgedAt: base.now, drainUntil: base.now } };
    case "drain":
      return fact({ drained: true });
    case "stop":
      return { ...base, container: container("exited", 143) };
    case "exit":
      return fact({ gathered: true, prepared: false });
    case "remove":
      return {
        ...base,
        record: { ...next, state: "removed" },
        container: undefined,
        leftovers: [],
      };
    default:
      return { ...base, now: base.now + 1 };
  }
}

test("a process that may get requests ends only after the word of all, or when the time for it is over", () => {
  let cases = 0;
  for (const input of inputs()) {
    const { record, container } = input;
    const isAlive = container?.phase === "running" || container?.phase === "paused";
    if (!isAlive || record === undefined || !record.published) continue;
    const { command } = step(input);
    const isConfirmed =
      record.acknowledgedAt !== undefined || record.acknowledgeUntil === undefined;
    const isOver = input.now >= (record.acknowledgeUntil ?? 0);
    if (record.state === "running" || (record.state === "draining" && !isConfirmed && !isOver)) {
      assert.notEqual(command, "stop", JSON.stringify(input));
      cases++;
    }
  }
  assert.ok(cases > 10_000, `${cases} cases`);
});

test("from everywhere, obeying comes to rest: running and ready, or removed, or at a gate", () => {
  for (const first of inputs()) {
    // What is followed is checked: a quarter of the facts says enough here.
    const { attended, probing, prepared, gathered } = first.facts;
    if (attended !== probing || prepared !== gathered) continue;
    let input = first;
    let decision = step(input);
    for (let turns = 0; decision.wait === undefined && decision.command !== "forget"; turns++) {
      assert.ok(turns < 40, `no rest: ${decision.rule} ${JSON.stringify(first)}`);
      const fresh = decision.next.attempt !== input.record?.attempt && input.record !== undefined;
      input = obey(input, decision.next, decision.command);
      // A new attempt has a container of its own, not made yet; that of the last one is a leftover.
      if (fresh) input = { ...input, container: undefined };
      decision = step(input);
    }
    if (decision.wait === "settled") {
      const at = decision.next.state;
      assert.ok(at === "removed" || (first.intent === "run" && at === "running"), at);
      const { paused } = first.assignment.task;
      if (paused !== undefined) assert.equal(decision.next.ready, false, "paused and ready");
    }
    if (decision.command === "forget") assert.equal(first.intent, "forget");
    if (decision.wait === "backoff") assert.ok((decision.waitUntil ?? 0) > input.now);
  }
});
