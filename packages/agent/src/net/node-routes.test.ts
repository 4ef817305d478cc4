/** Routes of a service as the data plane takes them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { RouteSpec, ServiceSpec } from "@berth/protocol";
import { sampleAssignment } from "../task/assignment-sample.ts";
import { httpRoutesOf, tcpPortsOf } from "./node-routes.ts";

const NAME = { project: "default", environment: "main", stack: "shop", service: "web" };
const USERS =
  "ada:$5$saltsalt$abcdefghijkl\n# a comment\nbob:plain\n:$5$x\n\neve:$2y$05$abcdefghijkl\r\n";

function routed(spec: Partial<ServiceSpec>) {
  const { spec: whole } = sampleAssignment("t1", { spec });
  const users = (secret: string) => (secret === "users" ? USERS : undefined);
  return { name: NAME, networkId: "0000000a", spec: whole, users };
}

function http(...routes: readonly Partial<RouteSpec>[]) {
  const whole = routes.map((route) => ({ host: "a.test", path: "/", port: 80, ...route }));
  return httpRoutesOf(routed({ routes: whole }));
}

const TARGET = { ...NAME, networkId: "0000000a", port: 80 };

test("what a route wishes is handed on; hosts are one list, services of a split become targets", () => {
  const [route] = http({
    moreHosts: ["b.test", "a.test"],
    path: "/api",
    split: { next: 10 },
    compression: true,
    tls: "required",
  });
  assert.deepEqual(
    { ...route, id: "" },
    {
      id: "",
      hosts: ["a.test", "b.test"],
      pathPrefix: "/api",
      target: TARGET,
      tls: "required",
      splits: [{ target: { ...TARGET, service: "next" }, percent: 10 }],
      compression: true,
    },
  );
  assert.match(route?.id ?? "", /^default\.main\.shop\.web:a\.test\.api:[0-9a-f]{8}$/);
});

test("routes that differ in conditions alone have identifiers of their own, that stay", () => {
  const wishes = [{}, { methods: ["GET"] }, { pathExact: "/" }, { pathRegex: "/a" }];
  const ids = http(...wishes).map(({ id }) => id);
  assert.equal(new Set(ids).size, ids.length);
  assert.deepEqual(
    http(...wishes.map((wish) => ({ ...wish, compression: true }))).map(({ id }) => id),
    ids,
  );
});

test("users are the lines with a hash; a secret that is not known names nobody", () => {
  const [known, unknown] = http(
    { auth: { realm: "r", secret: "users" } },
    { host: "b.test", auth: { realm: "r", secret: "other" } },
  );
  assert.deepEqual(known?.auth, {
    realm: "r",
    users: [
      { name: "ada", hash: "$5$saltsalt$abcdefghijkl" },
      { name: "eve", hash: "$2y$05$abcdefghijkl" },
    ],
  });
  assert.deepEqual(unknown?.auth?.users, []);
});

test("connections: published ports, TCP routes, names on the HTTPS port where there is one", () => {
  const service = routed({
    ports: [
      { target: 1, published: 11, protocol: "tcp" },
      { target: 2, protocol: "tcp" },
      { target: 3, published: 13, protocol: "udp" },
    ],
    tcpRoutes: [
      { listen: 14, port: 4, proxyProtocol: true },
      { hosts: ["db.test"], port: 5 },
    ],
  });
  const ports = (httpsPort: number | undefined) =>
    tcpPortsOf(service, httpsPort).map(({ hostPort, target, serverNames, proxyProtocol }) => [
      hostPort,
      target.port,
      serverNames,
      proxyProtocol,
    ]);
  const always = [
    [11, 1, undefined, undefined],
    [14, 4, undefined, true],
  ];
  assert.deepEqual(ports(undefined), always);
  assert.deepEqual(ports(8443), [...always, [8443, 5, ["db.test"], undefined]]);
});
