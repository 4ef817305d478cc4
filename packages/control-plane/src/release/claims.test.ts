/** Ports and routes: one holder in the cluster, named to whoever asks for the same. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { RouteSpec, TcpRouteSpec } from "@berth/protocol";
import { ModelCluster, SHOP } from "../testing/model-cluster.ts";
import { serviceSpec, stackSpec } from "../testing/specs.ts";

const OTHER = { ...SHOP, stack: "other" };

function publishing(published: number | undefined, hostAddress?: string, host?: string) {
  return stackSpec({
    web: serviceSpec({
      ports: [
        {
          target: 80,
          protocol: "tcp",
          ...(published === undefined ? {} : { published }),
          ...(hostAddress === undefined ? {} : { hostAddress }),
        },
      ],
      routes: host === undefined ? [] : [{ host, path: "/", port: 80 }],
    }),
  });
}

async function withShop(...args: Parameters<typeof publishing>): Promise<ModelCluster> {
  const cluster = new ModelCluster();
  await cluster.start("node-1");
  await cluster.deploy(publishing(...args));
  await cluster.until(() => cluster.rollout() === "complete", "the rollout is complete");
  return cluster;
}

test("a port and a route belong to one stack, and the refusal names it", async () => {
  const cluster = await withShop(8_080, undefined, "x.example.com");
  await assert.rejects(cluster.deploy(publishing(8_080), OTHER), {
    code: "claim_taken",
    message: /^services\.web\.ports\[0\]: 8080\/tcp belongs to default\/main\/shop\/web$/,
  });
  await assert.rejects(
    cluster.deploy(publishing(8_081, undefined, "x.example.com"), OTHER),
    /x\.example\.com\/ belongs to default\/main\/shop\/web/,
  );
});

test("every address and one address exclude each other; two addresses do not", async () => {
  const cluster = await withShop(8_080, "127.0.0.1");
  await assert.rejects(cluster.deploy(publishing(8_080, "0.0.0.0"), OTHER), {
    code: "claim_taken",
  });
  await cluster.deploy(publishing(8_080, "10.0.0.5"), OTHER);
});

test("a port that is no longer needed is free when the rollout is over", async () => {
  const cluster = await withShop(8_080);
  await cluster.deploy(publishing(8_081));
  await cluster.until(() => cluster.stack()?.goodRelease === 2, "release 2 is good");
  await cluster.pass(1_000);
  await cluster.deploy(publishing(8_080), OTHER);
});

test("while a rollout may go back its ports are kept", async () => {
  const cluster = await withShop(8_080);
  await cluster.deploy(publishing(8_081));
  await cluster.until(() => cluster.stack()?.release === 2, "release 2 is there");
  await assert.rejects(cluster.deploy(publishing(8_080), OTHER), { code: "claim_taken" });
});

test("a port without a number gets one and keeps it", async () => {
  const cluster = await withShop(undefined);
  const port = () => {
    const releases = cluster.plane.state.view.releases.by("stack", "default/main/shop");
    return releases.at(-1)?.value.services["web"]?.spec.ports[0]?.published;
  };
  assert.equal(port(), 30_000);
  const next = publishing(undefined);
  const web = serviceSpec({ ...next.services["web"], environment: { V: "2" } });
  await cluster.deploy({ ...next, services: { web } });
  await cluster.until(() => cluster.stack()?.goodRelease === 2, "release 2 is good");
  assert.equal(port(), 30_000);
});

test("two stacks that ask at the same time: one has it", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1");
  await cluster.deploy(publishing(9_000));
  await cluster.deploy(publishing(9_000), OTHER);
  const states = () =>
    cluster.plane.state.view.deployments
      .all()
      .map(({ value }) => value.state)
      .sort();
  await cluster.until(() => !states().includes("pending"), "both are decided");
  assert.deepEqual(states(), ["failed", "released"]);
});

function routed(...routes: readonly Partial<RouteSpec>[]) {
  const whole = routes.map((route) => ({ host: "x.example.com", path: "/", port: 80, ...route }));
  return stackSpec({ web: serviceSpec({ routes: whole }) });
}

test("routes exclude each other by host, path and conditions, each host and method apart", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1");
  await cluster.deploy(
    routed(
      { moreHosts: ["y.example.com"], path: "/api" },
      { methods: ["GET", "POST"] },
      { headers: [{ name: "X-A", kind: "exact", value: "b" }] },
      { pathExact: "/api" },
    ),
  );
  await cluster.until(() => cluster.rollout() === "complete", "the rollout is complete");
  const taken = (route: Partial<RouteSpec>, message: RegExp) =>
    assert.rejects(cluster.deploy(routed(route), OTHER), { code: "claim_taken", message });
  await taken(
    { host: "Y.example.com", path: "/api/" },
    /y\.example\.com\/api belongs to .*shop\/web/,
  );
  await taken({ methods: ["POST"] }, /x\.example\.com\/ \(prefix; POST\) belongs to/);
  await taken(
    { headers: [{ name: "x-a", kind: "exact", value: "b" }] },
    /\(prefix; ; x-a exact b\) belongs to/,
  );
  await cluster.deploy(routed({}, { methods: ["PUT"] }, { pathRegex: "/api" }), OTHER);
});

test("a port that names of TLS share is shared by names alone", async () => {
  const tcp = (...tcpRoutes: readonly TcpRouteSpec[]) =>
    stackSpec({ web: serviceSpec({ tcpRoutes: [...tcpRoutes] }) });
  const cluster = new ModelCluster();
  await cluster.start("node-1");
  await cluster.deploy(
    tcp({ port: 1, listen: 993, hosts: ["a.test"] }, { port: 1, hosts: ["a.test"] }),
  );
  await cluster.until(() => cluster.rollout() === "complete", "the rollout is complete");
  const taken = (route: TcpRouteSpec, message: RegExp) =>
    assert.rejects(cluster.deploy(tcp(route), OTHER), { code: "claim_taken", message });
  await taken({ port: 1, listen: 993 }, /993\/tcp belongs to/);
  await taken({ port: 1, listen: 993, hosts: ["A.test"] }, /a\.test by TLS on port 993 belongs/);
  await taken({ port: 1, hosts: ["a.test"] }, /a\.test by TLS on the HTTPS port belongs to/);
  await cluster.deploy(tcp({ port: 1, listen: 993, hosts: ["b.test"] }), OTHER);
});

test("routes that make no sense are refused by place, all at once", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1");
  const broken = routed(
    { pathRegex: "(a+)+" },
    { host: "b.test", auth: { realm: "r", secret: "nobody" }, split: { none: 10 } },
  );
  await assert.rejects(cluster.deploy(broken), {
    code: "invalid_stack",
    message: /^services\.web\.routes\[0\]\.path_regex: .*\(and 2 more\)$/,
  });
  const apart = stackSpec({
    web: serviceSpec({
      networkMode: "host",
      networks: {},
      routes: [{ host: "a", path: "/", port: 1 }],
    }),
  });
  await assert.rejects(cluster.deploy(apart), /network_mode host: a route needs a network/);
});
