/** Names with real bridges, real resolvers (dig, Node's, glibc's) and forwarders that misbehave. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { createSocket } from "node:dgram";
import { connect, createServer } from "node:net";
import { before, test } from "node:test";
import packet from "dns-packet";
import { frameMessage, MessageReader } from "../src/dns/tcp-frame.ts";
import type { NodeNetworkModel } from "../src/model.ts";
import { addBridge, type Container, ip, startContainer } from "./containers.ts";
import { inNamespace, loopbackModel, netUnderTest, SERVICE, until } from "./lab.ts";

const NETWORK = {
  id: "n1",
  project: "default",
  environment: "main",
  stack: "shop",
  name: "default",
  bridge: "br-n1",
  subnet: "10.78.0.0/24",
  gateway: "10.78.0.1",
  internal: false,
};
/** Questions at once: the queue of a socket that asks the kernel for nothing has 270 places. */
const QUEUED = 450;
const QUEUE_BYTES = 1024 * 1024;
const UPSTREAM = "127.0.9.1";
const DEAD_UPSTREAM = "127.0.9.9";
const LOOP_UPSTREAM = "127.0.9.2";

function endpointAt(slot: number) {
  const address = `10.78.0.${10 + slot}`;
  return {
    ...SERVICE,
    slot,
    taskId: `t${slot}`,
    networkId: "n1",
    address,
    state: "ready" as const,
  };
}

/** A resolver on loopback: counts, answers over UDP and TCP, too long for UDP where asked for. */
async function startUpstream() {
  const asked: string[] = [];
  const reply = (message: Buffer, transport: "udp" | "tcp"): Buffer => {
    const query = packet.decode(message);
    const [question] = query.questions ?? [];
    const name = question?.name ?? "";
    asked.push(`${transport} ${name}`);
    const target = /^alias(\d)/.exec(name)?.[1];
    if (target !== undefined) {
      // An alias whose end is left open, as by servers that are no recursive resolvers.
      const data = target === "3" ? "end.example" : `alias${Number(target) + 1}.example`;
      return packet.encode({
        type: "response",
        id: query.id ?? 0,
        questions: query.questions ?? [],
        answers: [{ type: "CNAME", name, ttl: 30, data: name === "alias9.example" ? name : data }],
      });
    }
    const long = name.startsWith("long");
    const count = long && transport === "tcp" ? 60 : 1;
    const exists = !name.startsWith("missing");
    const soa = { mname: "a", rname: "b", serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 30 };
    return packet.encode({
      type: "response",
      id: query.id ?? 0,
      flags: (exists ? 0 : 3) | (long && transport === "udp" ? packet.TRUNCATED_RESPONSE : 0),
      questions: query.questions ?? [],
      answers: exists
        ? Array.from({ length: count }, (_, index) => ({
            type: "A" as const,
            name,
            ttl: 30,
            data: `192.0.2.${index + 1}`,
          }))
        : [],
      authorities: exists ? [] : [{ type: "SOA", name: "example", ttl: 30, data: soa }],
    });
  };
  const udp = createSocket("udp4");
  udp.on("message", (message, from) => {
    // Somebody off the path tries first with wrong ids: they must not be believed.
    const forged = reply(message, "udp");
    forged.writeUInt16BE((forged.readUInt16BE(0) + 1) & 0xffff, 0);
    udp.send(forged, from.port, from.address);
    udp.send(reply(message, "udp"), from.port, from.address);
    asked.pop();
  });
  udp.unref().bind(53, UPSTREAM);
  const tcp = createServer((socket) => {
    const reader = new MessageReader();
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      for (const message of reader.push(chunk)) socket.write(frameMessage(reply(message, "tcp")));
    });
  }).unref();
  await new Promise<void>((done) => tcp.listen(53, UPSTREAM, done));
  return { asked };
}

inNamespace(import.meta.url, () => {
  const net = netUnderTest();
  let generation = 0;
  let container: Container | undefined;
  let upstream: { readonly asked: string[] } = { asked: [] };
  const apply = (
    slots: readonly number[],
    forwarders: readonly string[] = [],
    more: Partial<NodeNetworkModel> = {},
  ) => {
    const base = loopbackModel(++generation, {});
    const endpoints = slots.map(endpointAt);
    const ingress = { ...base.ingress, httpRoutes: [] };
    const change = {
      networks: [NETWORK],
      endpoints,
      forwarders: [...forwarders],
      ingress,
      ...more,
    };
    return net.client.apply(loopbackModel(generation, change));
  };
  const dig = async (...args: string[]) =>
    (await container?.run("dig", ["+tries=1", "+time=2", "@10.78.0.1", ...args])) ?? "";
  const short = async (...args: string[]) =>
    (await dig("+short", ...args)).trim().split("\n").sort();

  before(async () => {
    upstream = await startUpstream();
    await net.start();
  });

  test("a bridge that is not there yet is a problem, and is bound as soon as it appears", async () => {
    const report = await apply([1, 2]);
    assert.deepEqual(report.dns.problems, [
      { code: "address_missing", id: "dns:n1", address: "10.78.0.1", port: 53 },
    ]);
    addBridge("br-n1", "10.78.0.1/24");
    await until("binding", 2_000, async () =>
      (await net.client.status()).dns.state === "ok" ? true : undefined,
    );
    container = await startContainer("10.78.0.50", "10.78.0.1", "br-n1");
    assert.deepEqual(await short("web"), ["10.78.0.11", "10.78.0.12"]);
  });

  test("dig over UDP, TCP and with a small packet gives the same names", async () => {
    assert.deepEqual(await short("+tcp", "web"), ["10.78.0.11", "10.78.0.12"]);
    assert.deepEqual(await short("+noedns", "web.shop.main.default.berth"), [
      "10.78.0.11",
      "10.78.0.12",
    ]);
    assert.match(await dig("SRV", "_http._tcp.web"), /8080 web-1\.shop\.main\.default\.berth\./);
    assert.match(await dig("nosuch"), /status: NXDOMAIN/);
    assert.match(await dig("AAAA", "web"), /status: NOERROR[\s\S]*ANSWER: 0, AUTHORITY: 1/);
    assert.match(await dig("+ednsopt=65001:00", "web"), /status: NOERROR/);
    assert.match(await dig("+edns=3", "+noednsneg", "web"), /status: BADVERS/);
    assert.match(await dig("-c", "CH", "TXT", "version.bind"), /status: REFUSED/);
  });

  test("Node's resolver and glibc's agree", async () => {
    const script =
      "const d=require('dns');d.setServers(['10.78.0.1']);d.resolve4('web',(e,a)=>console.log(e||a.sort().join()))";
    const node = await container?.run(process.execPath, ["-e", script]);
    assert.equal(node?.trim(), "10.78.0.11,10.78.0.12");
    const glibc =
      "mount --bind /dev/stdin /etc/resolv.conf 2>/dev/null; getent ahostsv4 web | awk '{print $1}' | sort -u";
    const shell = `f=$(mktemp); printf 'nameserver 10.78.0.1\\noptions ndots:1\\n' > $f; ${glibc.replace("/dev/stdin", "$f")}; rm $f`;
    const said = await container?.run("unshare", [
      "-m",
      "--propagation",
      "private",
      "sh",
      "-c",
      shell,
    ]);
    assert.equal(said?.trim(), "10.78.0.11\n10.78.0.12");
  });

  test("a change is answered as soon as it is applied", async () => {
    await apply([2, 3]);
    assert.deepEqual(await short("web"), ["10.78.0.12", "10.78.0.13"]);
    await apply([]);
    assert.match(await dig("web"), /status: NOERROR[\s\S]*ANSWER: 0/);
  });

  test("a bridge that is made anew keeps being answered", async () => {
    await apply([1]);
    ip("addr del 10.78.0.1/24 dev br-n1");
    assert.match(await dig("web"), /timed out|no servers|unreachable/);
    ip("addr add 10.78.0.1/24 dev br-n1");
    assert.deepEqual(await short("web"), ["10.78.0.11"]);
    assert.deepEqual(await short("+tcp", "web"), ["10.78.0.11"]);
  });

  test("other names go to the given forwarders only, are cached, also their absence", async () => {
    await apply([1], [UPSTREAM]);
    for (let index = 0; index < 5; index++)
      assert.deepEqual(await short("www.example.com"), ["192.0.2.1"]);
    for (let index = 0; index < 5; index++) assert.match(await dig("missing.example"), /NXDOMAIN/);
    assert.deepEqual(upstream.asked, ["udp www.example.com", "udp missing.example"]);
    assert.deepEqual(await short("WWW.example.COM"), ["192.0.2.1"]);
    assert.match(await dig("WWW.example.COM"), /^;WWW\.example\.COM\./m);
    assert.equal(upstream.asked.length, 2);
  });

  test("a long answer is fetched over TCP once and cut for UDP askers", async () => {
    assert.equal((await short("long.example")).length, 60);
    const cut = await dig("+ignore", "+noedns", "long.example");
    assert.match(cut, /flags: qr tc rd ra/);
    assert.ok((cut.match(/192\.0\.2\./g) ?? []).length >= 10);
    assert.deepEqual(upstream.asked.slice(2), [
      "udp long.example",
      "tcp long.example",
      "udp long.example",
      "tcp long.example",
    ]);
  });

  test("a forwarder where nobody listens costs nothing, one that is silent a second, once", async () => {
    await apply([1], [DEAD_UPSTREAM, UPSTREAM]);
    const refused = performance.now();
    assert.deepEqual(await short("one.example"), ["192.0.2.1"]);
    assert.ok(performance.now() - refused < 700);
    const silent = createSocket("udp4");
    silent.bind(53, DEAD_UPSTREAM);
    await apply([1], [`${DEAD_UPSTREAM}#53`, UPSTREAM]);
    assert.deepEqual(await short("two.example"), ["192.0.2.1"]);
    const second = performance.now();
    assert.deepEqual(await short("three.example"), ["192.0.2.1"]);
    assert.ok(performance.now() - second < 700);
    silent.close();
  });

  test("a forwarder that asks us back ends in SERVFAIL, not in a storm", async () => {
    const loop = createSocket("udp4");
    let asked = 0;
    loop.on("message", (message) => {
      asked++;
      const back = createSocket("udp4").unref();
      back.bind(0, "10.78.0.1", () => back.send(message, 53, "10.78.0.1"));
    });
    loop.bind(53, LOOP_UPSTREAM);
    await apply([1], [LOOP_UPSTREAM]);
    assert.match(await dig("+time=6", "loop.example"), /SERVFAIL/);
    assert.ok(asked <= 4, `${asked} questions`);
    loop.close();
  });

  test("aliases that a forwarder leaves open are followed to their end, and a circle is not", async () => {
    await apply([1], [UPSTREAM]);
    assert.deepEqual(await short("alias1.example"), [
      "192.0.2.1",
      "alias2.example.",
      "alias3.example.",
      "end.example.",
    ]);
    assert.match(await dig("alias9.example"), /status: NOERROR[\s\S]*ANSWER: 1/);
  });

  test("without forwarders a foreign name does not exist, at once", async () => {
    await apply([1], []);
    const start = performance.now();
    assert.match(await dig("www.example.com"), /NXDOMAIN/);
    assert.ok(performance.now() - start < 500);
  });

  test("the host itself asks on an address of its own, for full names", async () => {
    const hostDns = { address: "127.0.7.53", port: 53 };
    await apply([1, 2], [], { hostDns });
    const ask = (...args: string[]) =>
      execFileSync("dig", ["+tries=1", "+time=2", "@127.0.7.53", ...args]).toString();
    const both = ask("+short", "web.shop.main.default.berth").trim().split("\n").sort();
    assert.deepEqual(both, ["10.78.0.11", "10.78.0.12"]);
    assert.match(ask("+tcp", "SRV", "_http._tcp.web.shop.main.default.berth"), /8080 web-1/);
    assert.match(ask("nosuch.shop.main.default.berth"), /NXDOMAIN/);
    assert.match(ask("web"), /NXDOMAIN/, "no resolver is there to be asked for a short name");
    await apply([1, 2]);
    assert.throws(() => ask("web.shop.main.default.berth"), "it is closed when nobody wants it");
  });

  test("queries that share a TCP connection, cut anywhere, are all answered", async () => {
    await apply([1, 2]);
    const queries = Array.from({ length: 20 }, (_, id) =>
      frameMessage(packet.encode({ type: "query", id, questions: [{ type: "A", name: "web" }] })),
    );
    const socket = connect(53, "10.78.0.1");
    socket.setNoDelay(true);
    const reader = new MessageReader();
    const ids: number[] = [];
    const whole = new Promise<void>((resolve) => {
      socket.on("data", (chunk: Buffer) => {
        for (const message of reader.push(chunk)) ids.push(message.readUInt16BE(0));
        if (ids.length === queries.length) resolve();
      });
    });
    const stream = Buffer.concat(queries);
    for (let at = 0; at < stream.length; at += 7) {
      socket.write(stream.subarray(at, at + 7));
      await new Promise((resolve) => setImmediate(resolve));
    }
    await whole;
    socket.destroy();
    assert.deepEqual(
      ids.sort((a, b) => a - b),
      queries.map((_, id) => id),
    );
  });

  test("one client that holds connections leaves the others theirs", async () => {
    await apply([1, 2]);
    const held = Array.from({ length: 300 }, () => connect(53, "10.78.0.1").on("error", () => {}));
    await until("the host's connections are cut at its limit", 2_000, () =>
      held.filter((socket) => socket.destroyed).length >= 300 - 32 ? true : undefined,
    );
    assert.deepEqual(await short("+tcp", "web"), ["10.78.0.11", "10.78.0.12"]);
    for (const socket of held) socket.destroy();
  });

  test("bad packets by the thousand change nothing", async () => {
    await apply([1]);
    const socket = createSocket("udp4");
    for (let index = 0; index < 5_000; index++) {
      socket.send(randomBytes(1 + (index % 400)), 53, "10.78.0.1");
      if (index % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    socket.close();
    assert.deepEqual(await short("web"), ["10.78.0.11"]);
  });

  test("what one client asks while net does not get to run is answered when it does", async () => {
    await apply([1]);
    // Its own queue is as long: net answers at once, and this process may have to wait for its turn.
    const socket = createSocket({ type: "udp4", recvBufferSize: QUEUE_BYTES });
    const answered = new Set<number>();
    socket.on("message", (message) => answered.add(message.readUInt16BE(0)));
    // One by one: libuv would keep some of many sends at once for later.
    const ask = (id: number) =>
      new Promise<void>((resolve, reject) => {
        const questions = [{ name: "web.shop.main.default.berth", type: "A" as const }];
        const query = packet.encode({ type: "query", id, questions });
        socket.send(query, 53, "10.78.0.1", (error) => (error ? reject(error) : resolve()));
      });
    process.kill(net.pid(), "SIGSTOP");
    for (let id = 0; id < QUEUED; id++) await ask(id);
    process.kill(net.pid(), "SIGCONT");
    await until("all answers", 10_000, () => (answered.size === QUEUED ? true : undefined));
    socket.close();
  });

  test("kill -9 of net: names are back from the disk, without the agent", async (t) => {
    await apply([1, 2]);
    await net.kill();
    assert.match(await dig("web"), /refused|timed out|no servers/);
    const start = performance.now();
    await net.start();
    assert.deepEqual(await short("web"), ["10.78.0.11", "10.78.0.12"]);
    t.diagnostic(`names back ${(performance.now() - start).toFixed(0)} ms after the start`);
  });
});
