/** A deploy as seen from outside: events to lines, and every way it can end. */

import assert from "node:assert/strict";
import { test } from "node:test";
import {
  SCOPE,
  serviceSpec,
  stackRow,
  stackSpec,
  statusRow,
  taskRow,
} from "@berth/control-plane/api/api-fixture";
import type {
  Deployment,
  Rollout,
  ServiceSpec,
  Task,
  TaskStatus,
  WatchEvent,
} from "@berth/protocol";
import { DeployView } from "./deploy-view.ts";

const NOW = 100_000;
const plain = (_colour: string, text: string) => text;

function deployment(
  services: Readonly<Record<string, ServiceSpec>>,
  changes: Partial<Deployment> = {},
): Deployment {
  const { secrets: _secrets, ...rest } = stackSpec({ services: { ...services } });
  const spec = { ...rest, configs: {} };
  return {
    ...SCOPE,
    id: "deploy01",
    createdAt: 1,
    createdBy: "admin",
    state: "released",
    release: 2,
    secrets: {},
    spec,
    ...changes,
  };
}

function put(
  kind: Extract<WatchEvent, { type: "put" }>["kind"],
  key: string,
  value: unknown,
): WatchEvent {
  return { type: "put", kind, key, revision: 1, value };
}

function viewOf(
  services: Readonly<Record<string, ServiceSpec>>,
  copies: readonly (readonly [Partial<Task>, Partial<TaskStatus> | undefined])[],
): DeployView {
  const view = new DeployView(deployment(services));
  for (const [index, [task, status]] of copies.entries()) {
    const id = `task000${index}`;
    view.apply(put("task", `k/${id}`, taskRow(id, { release: 2, ...task })));
    if (status !== undefined) view.apply(put("status", `k/${id}`, statusRow(id, status)));
  }
  return view;
}

const LATE = { ready: false } as const;
const JOB = serviceSpec({ mode: "job", restart: { policy: "no" } });

const LINES: readonly (readonly [string, DeployView, readonly string[]])[] = [
  [
    "copies that are ready and one that says what it waits for",
    viewOf({ web: serviceSpec({ copies: 2 }) }, [
      [{}, {}],
      [{ slot: 2 }, { ...LATE, message: "waits for its readiness check: nothing listens" }],
    ]),
    [
      "  web   2 copies  ██████████░░░░░░░░░░  1 of 2 ready · web-2 waits for its readiness check: nothing listens",
    ],
  ],
  [
    "an image that is fetched",
    viewOf({ web: serviceSpec() }, [
      [{}, { ...LATE, state: "pulling", pullDoneBytes: 1_048_576, pullTotalBytes: 4_194_304 }],
    ]),
    ["  web   1 copy  ░░░░░░░░░░░░░░░░░░░░  0 of 1 ready · web-1 pulls 1 MiB of 4 MiB"],
  ],
  [
    "a pause before the next start",
    viewOf({ web: serviceSpec() }, [
      [{}, { ...LATE, state: "exited", exitCode: 3, nextAttemptAt: NOW + 4_000 }],
    ]),
    ["  web   1 copy  ░░░░░░░░░░░░░░░░░░░░  0 of 1 ready · web-1 exited 3, next start in 4.0 s"],
  ],
  [
    "a copy that its node does not know yet",
    viewOf({ web: serviceSpec() }, [[{}, undefined]]),
    ["  web   1 copy  ░░░░░░░░░░░░░░░░░░░░  0 of 1 ready · web-1 is being handed to node-1"],
  ],
  [
    "what comes first, and what was ended",
    viewOf(
      {
        job: JOB,
        bad: JOB,
        web: serviceSpec({ dependsOn: { bad: { condition: "completed", required: true } } }),
        off: serviceSpec({ copies: 0 }),
      },
      [
        [
          { service: "job" },
          { ...LATE, state: "ended", outcome: "complete", startedAt: 1_000, exitedAt: 3_100 },
        ],
        [{ service: "bad" }, { ...LATE, state: "ended", outcome: "failed", exitCode: 2 }],
      ],
    ),
    [
      "  job   one-shot  exited 0 after 2.1 s",
      "  bad   one-shot  exited 2",
      "  web   1 copy  ░░░░░░░░░░░░░░░░░░░░  0 of 1 ready · waits for bad (completed)",
      "  off   0 copies",
    ],
  ],
];

for (const [says, view, lines] of LINES) {
  test(`lines: ${says}`, () => {
    assert.deepEqual(view.serviceLines(NOW, plain), lines);
  });
}

test("a service has arrived when all of its copies are of the release and ready", () => {
  const services = { web: serviceSpec({ copies: 2 }), job: JOB, off: serviceSpec({ copies: 0 }) };
  const done = { ...LATE, state: "ended", outcome: "complete" } as const;
  const of = (...copies: Parameters<typeof viewOf>[1]) => viewOf(services, copies).arrived();
  assert.deepEqual(of(), []);
  assert.deepEqual(of([{}, {}]), []);
  assert.deepEqual(of([{}, {}], [{ slot: 2 }, LATE]), []);
  assert.deepEqual(of([{}, {}], [{ slot: 2 }, {}]), ["web"]);
  assert.deepEqual(of([{}, {}], [{ slot: 2, release: 1 }, {}]), []);
  assert.deepEqual(of([{}, {}], [{ slot: 2, release: 1, desired: "stopped" }, {}]), []);
  assert.deepEqual(of([{ service: "job" }, done]), ["job"]);
});

test("what is deleted is not counted", () => {
  const view = viewOf({ web: serviceSpec() }, [[{}, {}]]);
  view.apply({ type: "delete", kind: "task", key: "k/task0000", revision: 2 });
  assert.match(view.serviceLines(NOW, plain)[0] ?? "", /0 of 1 ready/);
});

const rollout = (state: Rollout["state"], release = 2): Rollout => ({
  release,
  state,
  startedAt: 1,
  progressAt: 1,
});

function outcomeWith(state: Rollout["state"], release = 2, changes: Partial<Deployment> = {}) {
  const view = new DeployView(deployment({ web: serviceSpec() }, changes));
  view.apply(put("stack", "k/shop", stackRow({ rollout: rollout(state, release) })));
  return view.outcome().kind;
}

test("every way a deploy can end", () => {
  assert.equal(new DeployView(deployment({})).outcome().kind, "pending");
  assert.equal(outcomeWith("progressing"), "pending");
  assert.equal(outcomeWith("rolling-back"), "pending");
  assert.equal(outcomeWith("complete"), "complete");
  assert.equal(outcomeWith("complete", 2, { state: "unchanged" }), "unchanged");
  for (const state of ["rolled-back", "failed", "paused"] as const) {
    assert.equal(outcomeWith(state), "failed");
  }
  assert.equal(outcomeWith("complete", 1), "pending");
  assert.equal(outcomeWith("progressing", 3), "superseded");
  const error = { code: "image_unavailable", message: "no such image", details: {} };
  const refused = new DeployView(deployment({}, { state: "failed", error }));
  assert.deepEqual(refused.outcome(), { kind: "refused", error });
});

test("preparation tells the operation's progress until there is a release", () => {
  const view = new DeployView(deployment({}, { state: "pending", operation: "op000001" }));
  assert.equal(view.preparation, "waiting for the images");
  const operation = { id: "op000001", progress: "building web" };
  view.apply(put("operation", "k/op000001", operation));
  assert.equal(view.preparation, "building web");
  view.apply(put("deployment", "k/deploy01", deployment({})));
  assert.equal(view.preparation, undefined);
});

test("a number of copies that was set by hand is the one that counts", () => {
  const view = viewOf({ web: serviceSpec({ copies: 1 }) }, [
    [{}, { ready: true }],
    [{ slot: 2 }, { ready: false }],
  ]);
  const scale = { ...SCOPE, service: "web", value: 2, source: "user", fileValue: 1 };
  view.apply(put("scale", "default/main/scale/shop/web", scale));
  assert.deepEqual(view.arrived(), []);
  assert.match(view.serviceLines(NOW, plain)[0] ?? "", /2 copies .* 1 of 2 ready/);
  view.apply({ type: "delete", kind: "scale", key: "default/main/scale/shop/web", revision: 2 });
  assert.match(view.serviceLines(NOW, plain)[0] ?? "", /1 copy /);
});
