/** From what a worker has to what it should have, in commands; and what HAProxy says, read. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { HttpRouteModel } from "../model.ts";
import type { IngressBackend } from "./plan.ts";
import {
  type ObservedServer,
  parseProcesses,
  parseServersState,
  planServers,
  type ServerState,
} from "./runtime.ts";
import { parseStat } from "./stat.ts";

const TARGET = {
  project: "default",
  environment: "main",
  stack: "shop",
  service: "web",
  networkId: "n1",
  port: 80,
};

type Wanted = "ready" | "draining" | "absent";
type Found = ServerState | "absent";

function backend(
  states: Readonly<Record<string, Wanted>>,
  change: Partial<HttpRouteModel> = {},
): IngressBackend {
  const servers = Object.entries(states).flatMap(([name, state]) =>
    state === "absent" ? [] : [{ name, address: "10.0.0.1", port: 80, state, weight: 1 }],
  );
  const route = { id: "be", hosts: ["a.test"], pathPrefix: "/", target: TARGET, ...change };
  return { name: "http:be", mode: "http", target: TARGET, servers, route };
}

function plan(wanted: Wanted, found: Found, options = { old: false, overdue: false }) {
  const observed: ObservedServer[] =
    found === "absent" ? [] : [{ backend: "http:be", name: "x", state: found, weight: 1 }];
  const { old, overdue } = options;
  return planServers([backend({ x: wanted })], observed, { old, overdue: () => overdue }).commands;
}

const ADD = [
  "add server http:be/x 10.0.0.1:80 pool-max-conn 200 pool-purge-delay 5s",
  "enable server http:be/x",
];

const TABLE: readonly (readonly [Wanted, Found, readonly string[]])[] = [
  ["ready", "absent", ADD],
  ["ready", "ready", []],
  ["ready", "drain", ["set server http:be/x state ready"]],
  ["ready", "maintenance", ["set server http:be/x state ready"]],
  ["draining", "absent", []],
  ["draining", "ready", ["set server http:be/x state drain"]],
  ["draining", "drain", []],
  ["draining", "maintenance", []],
  ["absent", "absent", []],
  ["absent", "ready", ["set server http:be/x state maint", "del server http:be/x"]],
  ["absent", "drain", ["set server http:be/x state maint", "del server http:be/x"]],
  ["absent", "maintenance", ["del server http:be/x"]],
];

test("every pair of wanted and found has its commands", () => {
  for (const [wanted, found, commands] of TABLE) {
    assert.deepEqual(plan(wanted, found), commands, `${wanted} but ${found}`);
  }
});

test("past the drain's deadline connections are shut before the deletion", () => {
  assert.deepEqual(plan("absent", "maintenance", { old: false, overdue: true }), [
    "shutdown sessions server http:be/x",
    "del server http:be/x",
  ]);
});

test("an old worker gets arrivals and drains, nothing is deleted there", () => {
  const options = { old: true, overdue: true };
  assert.deepEqual(plan("ready", "absent", options), ADD);
  assert.deepEqual(plan("draining", "ready", options), ["set server http:be/x state drain"]);
  assert.deepEqual(plan("absent", "ready", options), ["set server http:be/x state maint"]);
  assert.deepEqual(plan("absent", "maintenance", options), []);
});

test("a new copy is there before the old one leaves", () => {
  const observed: ObservedServer[] = [{ backend: "http:be", name: "a", state: "ready", weight: 1 }];
  const wanted = [backend({ a: "draining", b: "ready" })];
  const { commands } = planServers(wanted, observed, { old: false, overdue: () => false });
  assert.equal(commands.at(-1), "set server http:be/a state drain");
  assert.equal(commands.length, 3);
});

test("carrying out a plan on a model of HAProxy ends in the wanted state, from every state", () => {
  const founds: Found[] = ["absent", "ready", "drain", "maintenance"];
  const wanteds: Wanted[] = ["ready", "draining", "absent"];
  const end = {
    ready: ["ready"],
    draining: ["drain", "maintenance", "absent"],
    absent: ["absent"],
  };
  for (const found of founds) {
    for (const wanted of wanteds) {
      const state = plan(wanted, found).reduce(carryOut, found);
      assert.ok(end[wanted].includes(state), `${found} → ${wanted} ended ${state}`);
    }
  }
});

/** What HAProxy does with a command. */
function carryOut(state: Found, command: string): Found {
  if (command.startsWith("add server")) return state === "absent" ? "maintenance" : state;
  if (command.startsWith("enable server") || command.endsWith("state ready")) return "ready";
  if (command.endsWith("state drain")) return "drain";
  if (command.endsWith("state maint")) return "maintenance";
  return command.startsWith("del server") && state === "maintenance" ? "absent" : state;
}

test("what HAProxy 2.6 says is understood", () => {
  const state = [
    "1",
    "# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight",
    "2 http:be1 1 t1-10.0.0.1 10.0.0.1 2 0 1 1 0 1 0 2 0 0 0 0 - 9999 - 0 0 - - 0",
    "2 http:be1 2 t2-10.0.0.2 10.0.0.2 0 1 1 1 0 1 0 0 0 0 0 0 - 8888 - 0 0 - - 0",
    "2 http:be1 3 t3-10.0.0.3 10.0.0.3 2 8 1 1 0 1 0 0 0 0 0 0 - 8888 - 0 0 - - 0",
    "",
  ].join("\n");
  assert.deepEqual(
    parseServersState(state).map((server) => [server.backend, server.name, server.state]),
    [
      ["http:be1", "t1-10.0.0.1", "ready"],
      ["http:be1", "t2-10.0.0.2", "maintenance"],
      ["http:be1", "t3-10.0.0.3", "drain"],
    ],
  );
  const processes = [
    "#<PID>          <type>          <reloads>       <uptime>        <version>      ",
    "11558           master          3 [failed: 1]   0d00h00m01s     2.6.12-1+deb12u4",
    "# workers",
    "11598           worker          0               0d00h00m00s     2.6.12-1+deb12u4",
    "# old workers",
    "11561           worker          1               0d00h00m01s     2.6.12-1+deb12u4",
    "# programs",
    "",
  ].join("\n");
  assert.deepEqual(parseProcesses(processes), {
    masterPid: 11558,
    currentWorkers: [11598],
    oldWorkers: [11561],
    reloads: 3,
    reloadsFailed: 1,
  });
  assert.equal(parseProcesses("Unknown command"), undefined);
  const stat =
    "# pxname,svname,qcur,qmax,scur,smax,slim,stot,addr\nbe1,x,1,2,3,4,5,6,10.0.0.1:80\n\n";
  assert.deepEqual(parseStat(stat), [
    { backend: "be1", name: "x", address: "10.0.0.1:80", sessions: 3, queued: 1, sessionsTotal: 6 },
  ]);
});
