/** Users of routes: nobody until they are known, then those of the version that the task has. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Driver, ManualClock, Prng, silentLogger } from "@berth/base";
import type { Assignment, DeclaredService, NetworkNeighbor } from "@berth/protocol";
import type { SecretSource } from "../files/secret-source.ts";
import type { ToldTask } from "../state/agent-state.ts";
import { sampleAssignment } from "../task/assignment-sample.ts";
import { RouteUsers } from "./route-users.ts";

function withVersion(version: string): Assignment {
  return sampleAssignment("t1", { secrets: { users: { version } } });
}

function scene() {
  const clock = new ManualClock();
  const driver = new Driver({ clock, log: silentLogger, prng: new Prng(1) });
  const told = new Map<string, ToldTask>();
  const neighbors = new Map<string, NetworkNeighbor>();
  let failures = 0;
  let changes = 0;
  const read = async ({ secrets }: Assignment) => {
    if (failures-- > 0) throw new TypeError("the server is away");
    return new Map([["users", Buffer.from(`ada:${secrets["users"]?.version}`)]]);
  };
  const fetchAtDoor = async (task: string) => {
    if (failures-- > 0) throw new TypeError("the server is away");
    return new Map([["users", Buffer.from(`grace:${task}`)]]);
  };
  const users = new RouteUsers({
    driver,
    state: { told, neighbors },
    secrets: { read, fetchAtDoor } as unknown as SecretSource,
    onChange: () => changes++,
  });
  return {
    users,
    neighbors,
    tell: (assignment: Assignment) => told.set("t1", { assignment } as ToldTask),
    failNext: (count: number) => {
      failures = count;
    },
    changes: () => changes,
    pass: async (ms: number) => {
      for (let end = clock.monotonic() + ms; ; ) {
        for (let turn = 0; turn < 8; turn++) await new Promise(setImmediate);
        const due = clock.nextDue();
        if (due === undefined || due > end) {
          return clock.advance(Math.max(0, end - clock.monotonic()));
        }
        clock.fireNext();
      }
    },
    stop: () => driver.stop(),
  };
}

test("nobody until they are known; then the ones of the task's version", async () => {
  const { users, tell, changes, pass, stop } = scene();
  tell(withVersion("v1"));
  assert.equal(users.of(withVersion("v1"), "users"), undefined);
  await pass(1);
  assert.deepEqual([users.of(withVersion("v1"), "users"), changes()], ["ada:v1", 1]);
  tell(withVersion("v2"));
  assert.equal(users.of(withVersion("v2"), "users"), "ada:v1", "yesterday's rather than nobody");
  await pass(1);
  assert.deepEqual([users.of(withVersion("v2"), "users"), changes()], ["ada:v2", 2]);
  await stop();
});

test("a server that is away is asked again; a secret that the task does not have is nobody's", async () => {
  const { users, tell, failNext, pass, stop } = scene();
  tell(withVersion("v1"));
  failNext(2);
  assert.equal(users.of(withVersion("v1"), "users"), undefined);
  await pass(60_000);
  assert.equal(users.of(withVersion("v1"), "users"), "ada:v1");
  assert.equal(users.of(withVersion("v1"), "other"), undefined);
  await stop();
});

test("of a service without a copy here: by a copy elsewhere, once there is one", async () => {
  const { users, neighbors, failNext, changes, pass, stop } = scene();
  const name = { project: "default", environment: "main", stack: "shop", service: "web" };
  const service = { ...name, ingress: { secrets: { users: { version: "v1" } } } };
  const ask = () => users.atDoor(service as unknown as DeclaredService, "users");
  assert.equal(ask(), undefined);
  await pass(5_000);
  assert.deepEqual([ask(), changes()], [undefined, 0], "no copy is known");
  neighbors.set("x", { ...name, task: "t9" } as NetworkNeighbor);
  failNext(1);
  await pass(1_500);
  assert.equal(ask(), undefined, "the server was away");
  await pass(1_500);
  assert.deepEqual([ask(), changes()], ["grace:t9", 1]);
  await stop();
});
