/**
 * What the resolvers of the world make of our answers: glibc, musl, busybox, c-ares, Go, the JVM.
 *
 * Each runs where a container would: in a network namespace behind a bridge, with the resolver file that
 * containers get. Programs that are not installed are skipped with that reason. The table in
 * docs/design/dns.md says what was seen.
 */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { after, before, type TestContext, test } from "node:test";
import type { EndpointModel, ServiceModel } from "../src/model.ts";
import { resolvConf } from "../src/resolv-conf.ts";
import { addBridge, type Container, startContainer } from "./containers.ts";
import { inNamespace, loopbackModel, netUnderTest, SERVICE } from "./lab.ts";

const GATEWAY = "10.79.0.1";
const NETWORK = {
  id: "n1",
  project: "default",
  environment: "main",
  stack: "shop",
  name: "default",
  bridge: "br-res",
  subnet: "10.79.0.0/24",
  gateway: GATEWAY,
  internal: false,
};
/** More than fit into one packet. */
const MANY = 100;
/** Far below the second after which a resolver asks again. */
const QUICK_MS = 900;

const C_PROGRAM = `#include <stdio.h>
#include <netdb.h>
#include <arpa/inet.h>
int main(int argc, char **argv) {
  struct addrinfo hints = { .ai_family = AF_INET, .ai_socktype = SOCK_STREAM }, *found, *at;
  char text[64];
  int code = getaddrinfo(argv[1], NULL, &hints, &found);
  if (code != 0) { printf("error %s\\n", gai_strerror(code)); return 1; }
  for (at = found; at != NULL; at = at->ai_next)
    puts(inet_ntop(AF_INET, &((struct sockaddr_in *)at->ai_addr)->sin_addr, text, sizeof text));
  return 0;
}
`;
const GO_PROGRAM = `package main
import ("fmt"; "net"; "os")
func main() {
  found, err := net.LookupHost(os.Args[1])
  if err != nil { fmt.Println("error", err); os.Exit(1) }
  for _, each := range found { fmt.Println(each) }
}
`;
const JAVA_PROGRAM = `import java.net.*;
class Lookup {
  public static void main(String[] words) throws Exception {
    for (InetAddress each : InetAddress.getAllByName(words[0])) System.out.println(each.getHostAddress());
  }
}
`;
const NODE_LOOKUP = `require("dns").lookup(process.argv[1], { all: true, family: 4 }, (error, found) => {
  if (error) { console.log("error", error.code); process.exit(1); }
  for (const { address } of found) console.log(address);
})`;
const NODE_RESOLVE = `require("dns").resolve4(process.argv[1], (error, found) => {
  if (error) { console.log("error", error.code); process.exit(1); }
  for (const address of found) console.log(address);
})`;

interface Resolver {
  readonly name: string;
  /** Makes it; the reason why not. */
  readonly make: (folder: string) => string | undefined;
  readonly command: (folder: string, host: string) => readonly string[];
  /** Whether it asks again over TCP where an answer was cut. */
  readonly usesTcp: boolean;
}

const made = (file: string, args: readonly string[]): string | undefined => {
  const { error, status, stderr } = spawnSync(file, args, { encoding: "utf8" });
  if (error !== undefined) return `${file} is not installed`;
  return status === 0 ? undefined : `${file}: ${stderr.slice(0, 200)}`;
};

const RESOLVERS: readonly Resolver[] = [
  {
    name: "glibc",
    make: () => made("getent", ["--version"]),
    command: (_folder, host) => ["getent", "ahostsv4", host],
    usesTcp: true,
  },
  {
    name: "musl",
    make: (folder) => made("musl-gcc", ["-static", "-o", `${folder}/musl`, `${folder}/lookup.c`]),
    command: (folder, host) => [`${folder}/musl`, host],
    // 1.2.3, as Debian 12 has it; from 1.2.4 on it does.
    usesTcp: false,
  },
  {
    name: "busybox nslookup",
    make: () => made("busybox", ["true"]),
    command: (_folder, host) => ["busybox", "nslookup", "-type=a", host],
    usesTcp: false,
  },
  {
    name: "Node getaddrinfo",
    make: () => undefined,
    command: (_folder, host) => [process.execPath, "-e", NODE_LOOKUP, host],
    usesTcp: true,
  },
  {
    name: "c-ares (Node)",
    make: () => undefined,
    command: (_folder, host) => [process.execPath, "-e", NODE_RESOLVE, host],
    usesTcp: true,
  },
  {
    name: "Go",
    make: (folder) =>
      made("env", [
        ...["CGO_ENABLED=0", "GO111MODULE=off", `GOCACHE=${folder}/cache`],
        ...["go", "build", "-o", `${folder}/golang`, `${folder}/lookup.go`],
      ]),
    command: (folder, host) => [`${folder}/golang`, host],
    usesTcp: true,
  },
  {
    name: "JVM",
    make: (folder) => made("javac", ["-d", folder, `${folder}/Lookup.java`]),
    command: (folder, host) => ["java", "-cp", folder, "Lookup", host],
    usesTcp: true,
  },
];

inNamespace(import.meta.url, () => {
  const net = netUnderTest();
  const folder = mkdtempSync(`${tmpdir()}/bres-`);
  let container: Container | undefined;
  after(() => rmSync(folder, { recursive: true, force: true }));

  before(async () => {
    writeFileSync(`${folder}/lookup.c`, C_PROGRAM);
    writeFileSync(`${folder}/lookup.go`, GO_PROGRAM);
    writeFileSync(`${folder}/Lookup.java`, JAVA_PROGRAM);
    writeFileSync(`${folder}/resolv.conf`, resolvConf({ gateway: GATEWAY }));
    addBridge(NETWORK.bridge, `${GATEWAY}/24`);
    container = await startContainer("10.79.0.250", GATEWAY, NETWORK.bridge);
    await net.start();
    const endpoints = [...copies("web", 2, 10), ...copies("many", MANY, 20)];
    const base = loopbackModel(1, {});
    await net.client.apply({
      ...base,
      networks: [NETWORK],
      services: ["web", "many", "empty"].map(serviceOf),
      endpoints,
      ingress: { ...base.ingress, httpRoutes: [] },
    });
  });

  const look = async (resolver: Resolver, host: string) => {
    const from = performance.now();
    const script = 'mount --bind "$0" /etc/resolv.conf && exec "$@"';
    const inMounts = ["-m", "sh", "-c", script, `${folder}/resolv.conf`];
    const words = [...inMounts, ...resolver.command(folder, host)];
    const said = (await container?.run("unshare", words)) ?? "";
    const ms = performance.now() - from;
    const found = said.match(/\b10\.79\.0\.\d+\b/g) ?? [];
    return { ms, said, addresses: [...new Set(found.filter((each) => each !== GATEWAY))].sort() };
  };

  for (const resolver of RESOLVERS) {
    test(`${resolver.name}: short and full names, what is missing, and more than fits`, async (t) => {
      const reason = resolver.make(folder);
      if (reason !== undefined) return t.skip(reason);
      await judge(resolver, t, (host) => look(resolver, host));
    });
  }
});

async function judge(
  resolver: Resolver,
  t: TestContext,
  look: (host: string) => Promise<{ ms: number; said: string; addresses: readonly string[] }>,
): Promise<void> {
  const both = ["10.79.0.10", "10.79.0.11"];
  for (const host of ["web", "WEB", "web.shop.main.default.berth", "tasks.web"]) {
    const { addresses, said } = await look(host);
    assert.deepEqual(addresses, both, `${host}: ${said}`);
  }
  const costs = await look("web");
  for (const host of ["empty", "nosuch", "nosuch.shop.main.default.berth"]) {
    const { addresses, ms, said } = await look(host);
    assert.deepEqual(addresses, [], `${host}: ${said}`);
    assert.ok(ms - costs.ms < QUICK_MS, `${host} fails at once, not after a time-out: ${ms} ms`);
    t.diagnostic(`${resolver.name}, ${host}: ${said.trim().split("\n").at(-1)}`);
  }
  const many = await look("many");
  t.diagnostic(`${resolver.name}: ${many.addresses.length} of ${MANY} addresses`);
  if (resolver.usesTcp) assert.equal(many.addresses.length, MANY, "the rest over TCP");
  else assert.ok(many.addresses.length >= 20, "what fits, where TCP is not asked");
}

function serviceOf(service: string): ServiceModel {
  return {
    ...SERVICE,
    service,
    networks: [{ networkId: "n1", aliases: [] }],
    endpointMode: "dnsrr",
    ports: [],
  };
}

function copies(service: string, count: number, first: number): EndpointModel[] {
  return Array.from({ length: count }, (_, index) => ({
    ...SERVICE,
    service,
    slot: index + 1,
    taskId: `${service}${index}`,
    networkId: "n1",
    address: `10.79.0.${first + index}`,
    state: "ready",
  }));
}
