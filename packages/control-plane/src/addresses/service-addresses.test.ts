/** Addresses of services: one for each service and network, kept over releases, given back with the service. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { keys } from "@berth/protocol";
import { declaredServices } from "../directory/declared.ts";
import { removeStack, scaleService } from "../release/stack-commands.ts";
import { ModelCluster, SHOP } from "../testing/model-cluster.ts";
import { NETWORK, serviceSpec, stackSpec } from "../testing/specs.ts";

const OTHER = { ...SHOP, stack: "other" };

async function withShop(
  services: Parameters<typeof stackSpec>[0],
  settings: ConstructorParameters<typeof ModelCluster>[1] = {},
): Promise<ModelCluster> {
  const cluster = new ModelCluster(1, settings);
  await cluster.start("node-1");
  await cluster.deploy(stackSpec(services));
  await cluster.until(() => cluster.rollout() === "complete", "the rollout is complete");
  return cluster;
}

function addresses(cluster: ModelCluster, stack = SHOP): Record<string, string | undefined> {
  const services = declaredServices(cluster.plane.state.view, stack);
  return Object.fromEntries(
    services.map(({ service, networks }) => [service, networks[0]?.virtualAddress]),
  );
}

test("each service has an address of its own, outside the networks, and keeps it over releases", async () => {
  const cluster = await withShop({ web: serviceSpec({ copies: 2 }), db: serviceSpec() });
  const first = addresses(cluster);
  assert.match(first["web"] ?? "", /^10\.79\./);
  assert.match(first["db"] ?? "", /^10\.79\./);
  assert.notEqual(first["web"], first["db"]);
  await cluster.deploy(
    stackSpec({ web: serviceSpec({ copies: 2, environment: { V: "2" } }), db: serviceSpec() }),
  );
  await cluster.until(() => cluster.stack()?.goodRelease === 2, "release 2 is good");
  assert.deepEqual(addresses(cluster), first);
});

test("on each of its networks it has an address of its own, kept over releases, given back with the network", async () => {
  const cluster = new ModelCluster();
  await cluster.start("node-1");
  const uses = { front: { aliases: [] }, back: { aliases: [] } };
  const deploy = async (networks: typeof uses | Pick<typeof uses, "front">, release: number) => {
    const web = serviceSpec({ networks, environment: { RELEASE: String(release) } });
    await cluster.deploy(stackSpec({ web }, { networks: { front: NETWORK, back: NETWORK } }));
    await cluster.until(
      () => cluster.stack()?.goodRelease === release,
      `release ${release} is good`,
    );
  };
  const { view } = cluster.plane.state;
  const found = () =>
    declaredServices(view, SHOP).flatMap(({ networks }) =>
      networks.map(({ networkId, virtualAddress }) => `${networkId} ${virtualAddress}`),
    );
  await deploy(uses, 1);
  const first = found();
  assert.equal(new Set(first.map((each) => each.split(" ")[0])).size, 2);
  assert.equal(new Set(first.map((each) => each.split(" ")[1])).size, 2);
  for (const each of first) assert.match(each, /^[0-9a-f]{8} 10\.79\./);
  await deploy(uses, 2);
  assert.deepEqual(found(), first);
  await deploy({ front: { aliases: [] } }, 3);
  await cluster.pass(120_000);
  assert.equal(view.claims.by("kind", "service-address").length, 1);
  const front = view.networks.get(keys.network(SHOP, "front"))?.value.id;
  assert.deepEqual(
    found(),
    first.filter((each) => each.startsWith(`${front} `)),
  );
});

test("with dnsrr there is none; a service that becomes so gives its address back", async () => {
  const cluster = await withShop({ web: serviceSpec({ endpointMode: "dnsrr" }) });
  assert.deepEqual(addresses(cluster), { web: undefined });
  const other = await withShop({ web: serviceSpec() });
  assert.notEqual(addresses(other)["web"], undefined);
  await other.deploy(stackSpec({ web: serviceSpec({ endpointMode: "dnsrr", copies: 2 }) }));
  await other.until(() => other.stack()?.goodRelease === 2, "release 2 is good");
  await other.pass(120_000);
  assert.equal(other.ready("web"), 2);
  assert.deepEqual(other.plane.state.view.claims.by("kind", "service-address"), []);
});

test("scaled to nothing it keeps its address; removed it gives it back and gets it again", async () => {
  const cluster = await withShop({ web: serviceSpec(), db: serviceSpec() });
  const first = addresses(cluster);
  const { view } = cluster.plane.state;
  const request = { scope: { ...SHOP, service: "web" }, copies: 0, source: "user" } as const;
  await cluster.commit(scaleService(view, request));
  await cluster.until(() => cluster.live("web").length === 0, "no copy is left");
  await cluster.pass(120_000);
  assert.deepEqual(addresses(cluster), first);
  await cluster.commit(removeStack(view, { scope: SHOP, volumes: [], now: cluster.clock.now() }));
  await cluster.until(() => cluster.stack() === undefined, "the stack is gone");
  assert.deepEqual(view.claims.by("kind", "service-address"), []);
});

test("a range that is full is told with its size; the copy waits and starts when one is free", async () => {
  // Two addresses: the first and the last of four are given to nobody.
  const cluster = await withShop(
    { web: serviceSpec(), db: serviceSpec() },
    { serviceRange: "10.99.0.0/30" },
  );
  await cluster.deploy(stackSpec({ api: serviceSpec() }), OTHER);
  await cluster.until(() => {
    const explained = JSON.stringify(cluster.plane.explain({ ...OTHER, service: "api" }));
    return /10\.99\.0\.0\/30 is full \(2 addresses\)/.test(explained);
  }, "the wait is told");
  await cluster.deploy(stackSpec({ web: serviceSpec() }));
  await cluster.until(() => cluster.ready("api", OTHER) === 1, "an address has become free");
});

test("networks are never carved from the range of service addresses", async () => {
  const cluster = await withShop({ web: serviceSpec() }, { clusterRange: "10.90.0.0/20" });
  const network = cluster.plane.state.view.networks.get(keys.network(SHOP, "default"))?.value;
  assert.deepEqual([network?.subnet, network?.serviceRange], ["10.90.0.0/24", "10.90.15.0/24"]);
  assert.match(addresses(cluster)["web"] ?? "", /^10\.90\.15\./);
});
