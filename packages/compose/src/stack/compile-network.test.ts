/** Networks, pods, ports, exposed ports and routes. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { compileSample, compileWeb, problemWords } from "./compile-sample.ts";

test("published ports: numbers, ranges, addresses, protocols", () => {
  const { web, said } = compileWeb(
    "ports: ['8080:80', '9000-9001:9000-9001', '127.0.0.1:53:53/udp', '81', '7000-7009:70', '0:82']",
  );
  assert.deepEqual(web.ports, [
    { target: 80, published: 8080, protocol: "tcp" },
    { target: 9000, published: 9000, protocol: "tcp" },
    { target: 9001, published: 9001, protocol: "tcp" },
    { target: 53, published: 53, hostAddress: "127.0.0.1", protocol: "udp" },
    { target: 81, protocol: "tcp" },
    { target: 70, publishedRange: { first: 7000, last: 7009 }, protocol: "tcp" },
    { target: 82, protocol: "tcp" },
  ]);
  assert.deepEqual(said, []);
});

test("affinity and fixed addresses are wishes of the service", () => {
  const { web, said } = compileWeb(
    "networks: {back: {}}\nx-berth: {affinity: {by: source, timeout: 60s}, addresses: {back: [10.9.0.5, 10.9.0.7-10.9.0.8]}}",
    { rest: "networks: {back: {ipam: {config: [{subnet: 10.9.0.0/24}]}}}\n" },
  );
  assert.deepEqual(
    [web.affinity, web.networks["back"]?.addresses, said],
    [{ kind: "source", timeoutMs: 60_000 }, ["10.9.0.5", "10.9.0.7", "10.9.0.8"], []],
  );
  const { web: short } = compileWeb("x-berth: {affinity: source}");
  assert.deepEqual(short.affinity, { kind: "source", timeoutMs: 10_800_000 });
});

test("what a network says about its ranges", () => {
  const config =
    "[{subnet: 10.9.0.0/24, gateway: 10.9.0.254, ip_range: 10.9.0.128/25, aux_addresses: {nas: 10.9.0.200}}, {subnet: 'fd09::/64'}]";
  const { result } = compileWeb("networks: {back: {ipv6_address: 'fd09::5'}}", {
    rest: `networks: {back: {enable_ipv6: true, ipam: {config: ${config}}}}\n`,
  });
  assert.deepEqual(result.spec?.networks["back"], {
    internal: false,
    subnet: "10.9.0.0/24",
    gateway: "10.9.0.254",
    ipRange: "10.9.0.128/25",
    auxAddresses: { nas: "10.9.0.200" },
    subnet6: "fd09::/64",
    ipv6: true,
    labels: {},
  });
});

test("the size of packets is the network's; other options of drivers are warned of one by one", () => {
  const of = (options: string) => {
    const rest = `networks: {back: {driver_opts: {${options}}}}\n`;
    const { result, said } = compileWeb("networks: {back: {}}", { rest });
    return [result.spec?.networks["back"]?.mtu, said];
  };
  assert.deepEqual(of("com.docker.network.driver.mtu: 1400"), [1400, []]);
  assert.deepEqual(of("com.docker.network.driver.mtu: '68'"), [
    undefined,
    [
      'error networks.back.driver_opts.com.docker.network.driver.mtu: is "68"; expected a number of bytes from 1280 to 65535',
    ],
  ]);
  assert.match(of('encrypted: ""').join(), /warning .*encrypted: .*NOT encrypted/);
  assert.match(of("foo: bar").join(), /warning .*foo: is not honoured: networks are the platform/);
});

test("interfaces have names of the file, none of them twice", () => {
  const of = (uses: string) =>
    compileWeb(`networks: ${uses}`, { rest: "networks: {a: {}, b: {}}\n" });
  const { web, said } = of("{a: {interface_name: wan0}, b: {}}");
  assert.deepEqual([web.networks["a"]?.interfaceName, said.length], ["wan0", 0]);
  assert.match(of("{a: {interface_name: eth1}, b: {}}").said.join(), /eth1 is the interface of/);
  assert.match(of("{a: {interface_name: lo}}").said.join(), /lo is the interface of the loop/);
  assert.match(of("{a: {interface_name: 'a b'}}").said.join(), /is "a b"; expected 1 to 15/);
});

test("two ranges of a family, and parts without their range, are errors", () => {
  const of = (config: string) =>
    compileWeb("networks: {back: {}}", { rest: `networks: {back: {ipam: {config: ${config}}}}\n` })
      .said;
  assert.deepEqual(of("[{subnet: 10.9.0.0/24}, {subnet: 10.10.0.0/24}]"), [
    "error networks.back.ipam.config.1.subnet: a network has one range of each family",
  ]);
  assert.deepEqual(of("[{gateway: 10.9.0.1}]"), [
    "error networks.back.ipam.config.0.gateway: needs the subnet that it is part of",
  ]);
});

test("a protocol that cannot be published is an error", () => {
  const { said } = compileWeb("ports: [{target: 80, protocol: sctp}]");
  assert.deepEqual(said, ["error services.web.ports.0: the protocol sctp cannot be published"]);
});

test("exposed ports: TCP only, ranges in full", () => {
  const { web } = compileWeb("expose: ['3000', '4000-4002', '5000/udp', '6000/tcp']");
  assert.deepEqual(web.expose, [3000, 4000, 4001, 4002, 6000]);
});

test("networks in order of priority, with aliases and the container's name", () => {
  const { web, result } = compileWeb(
    "container_name: old\nnetworks: {back: {aliases: [db, db]}, front: {priority: 10, ipv4_address: 10.9.0.5}}",
    {
      rest: "networks: {back: {internal: true, labels: {a: b}}, front: {ipam: {config: [{subnet: 10.9.0.0/24}]}}}\n",
    },
  );
  assert.deepEqual(Object.entries(web.networks), [
    ["front", { aliases: ["old"], ipv4Address: "10.9.0.5" }],
    ["back", { aliases: ["db", "old"] }],
  ]);
  assert.deepEqual(result.spec.networks, {
    front: { internal: false, subnet: "10.9.0.0/24", labels: {} },
    back: { internal: true, labels: { a: "b" } },
  });
});

test("without networks there is the default one, and only where it is used", () => {
  const plain = compileWeb("tty: false");
  assert.deepEqual(plain.web.networks, { default: { aliases: [] } });
  assert.deepEqual(plain.result.spec.networks, { default: { internal: false, labels: {} } });
  const host = compileWeb("network_mode: host");
  assert.deepEqual([host.web.networks, host.web.networkMode], [{}, "host"]);
  assert.equal(compileWeb("network_mode: none").web.networkMode, "none");
  assert.deepEqual(compileWeb("network_mode: bridge").web.networks, { default: { aliases: [] } });
});

test("external networks name a stack and one of its networks", () => {
  const names = [
    ["other_back_end", { stack: "other", name: "back_end" }],
    ["other/back", { stack: "other", name: "back" }],
    ["proxy", { stack: "proxy", name: "default" }],
  ] as const;
  for (const [name, external] of names) {
    const { result } = compileWeb("networks: [n]", {
      rest: `networks: {n: {external: true, name: ${name}}}\n`,
    });
    assert.deepEqual(result.spec.networks["n"]?.external, external);
  }
});

test("a driver that is not ours is named", () => {
  const { said } = compileWeb("networks: [n]", { rest: "networks: {n: {driver: macvlan}}\n" });
  assert.match(said.join(), /networks.n.driver: the driver macvlan is not used/);
});

test("sharing with another service makes a pod", () => {
  const pod = (lines: string) => {
    const result = compileSample(
      `services:\n  db: {image: x}\n  log: {image: x}\n  web: {image: x, ${lines}}\n`,
    );
    const web = result.spec.services["web"];
    return [web?.podWith, web?.podShares, problemWords(result).join()];
  };
  assert.deepEqual(pod("network_mode: service:db, pid: service:db"), [
    "db",
    ["network", "pid"],
    "",
  ]);
  assert.deepEqual(pod("ipc: service:db"), ["db", ["ipc"], ""]);
  assert.deepEqual(pod("volumes_from: [db]"), ["db", ["volumes"], ""]);
  assert.deepEqual(pod("tty: false"), [undefined, undefined, ""]);
  assert.match(String(pod("volumes_from: ['db:ro']")[2]), /ro is not honoured/);
  assert.match(
    String(pod("network_mode: service:db, pid: service:log")[2]),
    /error services.web: shares with db and log: a service can join one other/,
  );
  assert.match(String(pod("volumes_from: [db, log]")[2]), /shares with log and db/);
  assert.match(String(pod("network_mode: container:old")[2]), /error services.web.network_mode/);
  assert.match(
    String(pod("volumes_from: ['container:old']")[2]),
    /error services.web.volumes_from.0/,
  );
});

test("a pod shares the network of its first service and has none of its own", () => {
  const { spec } = compileSample(
    "services:\n  db: {image: x}\n  web: {image: x, network_mode: 'service:db'}\n",
  );
  assert.deepEqual(spec.services["web"]?.networks, {});
  assert.equal(spec.services["web"]?.networkMode, "networks");
});

test("routes and the endpoint mode", () => {
  const { web } = compileWeb(
    "x-berth: {routes: [{host: a.example.com, port: 80}, {host: '*.b', path: /api, port: 81}]}\ndeploy: {endpoint_mode: dnsrr}",
  );
  assert.deepEqual(web.routes, [
    { host: "a.example.com", path: "/", port: 80 },
    { host: "*.b", path: "/api", port: 81 },
  ]);
  assert.equal(web.endpointMode, "dnsrr");
});

test("links give names to the services that they lead to, one meaning each", () => {
  const { spec, problems } = compileSample(`services:
  web: {image: x, links: ["db:database", "db", "cache:db"]}
  job: {image: x, links: ["db:database", "cache:database"]}
  db: {image: x, container_name: the-db}
  cache: {image: x}
`);
  assert.deepEqual(spec.services["db"]?.networks, { default: { aliases: ["the-db", "database"] } });
  assert.deepEqual(spec.services["cache"]?.networks, { default: { aliases: [] } });
  assert.deepEqual(
    problems.map(({ path, message }) => `${path.join(".")}: ${message.split(";")[0]}`),
    [
      'services.web.links.2: the alias "db" means db already',
      'services.job.links.1: the alias "database" means db already',
    ],
  );
});

test("the network with the default route is first, and the service's own MAC is there", () => {
  const { web } = compileWeb(
    "mac_address: 02:42:0a:00:00:09\nnetworks: {a: {priority: 9}, b: {gw_priority: 1}, c: {priority: 10}}",
    { rest: "networks: {a: , b: , c: }\n" },
  );
  assert.deepEqual(Object.keys(web.networks), ["b", "c", "a"]);
  assert.equal(web.networks["b"]?.macAddress, "02:42:0a:00:00:09");
});
