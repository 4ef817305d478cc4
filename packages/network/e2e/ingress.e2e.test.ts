/** HAProxy under traffic: copies come and go, reloads, kills, taken ports. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import { before, type TestContext, test } from "node:test";
import {
  endpoint,
  inNamespace,
  isAlive,
  loopbackModel,
  netUnderTest,
  SERVICE,
  startCopy,
  until,
} from "./lab.ts";

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
}

function get(
  path: string,
  options: { host?: string; agent?: Agent; method?: string } = {},
): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const headers = { host: options.host ?? "shop.test" };
    const call = request(
      {
        host: "127.0.0.1",
        port: 8000,
        path,
        method: options.method ?? "GET",
        headers,
        agent: options.agent ?? false,
        timeout: 10_000,
      },
      (response) => {
        let body = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          body += chunk;
        });
        response.on("end", () =>
          resolve({ status: response.statusCode ?? 0, body, headers: response.headers }),
        );
        response.on("error", reject);
      },
    );
    call.on("error", reject);
    call.end();
  });
}

/** Sends requests without a pause until stopped; counts what failed. */
function traffic(t: TestContext, connections: number) {
  let running = true;
  let done = 0;
  const failures: string[] = [];
  const worker = async (index: number) => {
    // Half keep their connection, half open one for each request.
    const agent = index % 2 === 0 ? new Agent({ keepAlive: true, maxSockets: 1 }) : undefined;
    while (running) {
      try {
        const method = index % 4 === 3 ? "POST" : "GET";
        const answer = await get("/", { method, ...(agent === undefined ? {} : { agent }) });
        if (answer.status !== 200) failures.push(`${answer.status} ${answer.body}`);
      } catch (error) {
        failures.push(String(error));
      }
      done++;
    }
    agent?.destroy();
  };
  const workers = Array.from({ length: connections }, (_, index) => worker(index));
  t.after(() => {
    running = false;
  });
  return {
    count: () => done,
    stop: async () => {
      running = false;
      await Promise.all(workers);
      return { done, failures };
    },
  };
}

/** A copy that says its slot before everything it hears, on port 7000. */
async function startEcho(t: TestContext, slot: number): Promise<void> {
  const server = createServer((socket) => {
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => socket.write(`${slot}:${chunk.toString()}`));
  });
  await new Promise<void>((resolve) => server.listen(7000, `127.77.1.${slot}`, resolve));
  t.after(() => server.close());
}

async function openEcho(port: number) {
  const socket = connect(port, "127.0.0.1").setEncoding("utf8");
  socket.on("error", () => {});
  await once(socket, "connect");
  return {
    say: async (text: string) => {
      socket.write(text);
      const [answer] = await once(socket, "data");
      return String(answer);
    },
    closed: once(socket, "close"),
    close: () => socket.destroy(),
  };
}

inNamespace(import.meta.url, () => {
  const net = netUnderTest();
  let generation = 0;
  const apply = (change: Parameters<typeof loopbackModel>[1]) =>
    net.client.apply(loopbackModel(++generation, change));

  before(() => net.start());

  test("a declared service without a copy answers 503 in clear words, an unknown host 404", async () => {
    const report = await apply({});
    assert.deepEqual(report.ingress, { state: "ok", generation, problems: [] });
    const empty = await get("/x");
    assert.equal(empty.status, 503);
    assert.match(empty.body, /Service web of stack shop .* has no copy that is ready/);
    assert.equal(empty.headers["x-berth-error"], "no_ready_copy");
    const unknown = await get("/x", { host: "nobody.test" });
    assert.equal(unknown.status, 404);
    assert.match(unknown.body, /No route of this platform leads to http:\/\/nobody\.test\/x/);
  });

  test("a ready copy is served as soon as the model is applied", async (t) => {
    await startCopy(t, 1);
    await apply({ endpoints: [endpoint(1)] });
    assert.deepEqual((await get("/")).body, "1");
  });

  test("no request fails while copies are added, drained, removed and HAProxy is reloaded", async (t) => {
    await Promise.all([1, 2, 3, 4].map((slot) => startCopy(t, slot)));
    await apply({ endpoints: [endpoint(1), endpoint(2)] });
    const load = traffic(t, 16);
    for (let round = 0; round < 25; round++) {
      const [a, b] = round % 2 === 0 ? [3, 4] : [1, 2];
      const [c, d] = round % 2 === 0 ? [1, 2] : [3, 4];
      const change = {
        endpoints: [endpoint(a), endpoint(b), endpoint(c, "draining"), endpoint(d, "draining")],
      };
      // Every fifth round needs a reload as well: another port is published.
      const model = loopbackModel(generation + 1, change);
      const port = { ...SERVICE, networkId: "n1", port: 8080 };
      const tcpPorts = [
        { id: "t1", hostAddress: "127.0.0.1", hostPort: 9000 + round, target: port },
      ];
      await apply({
        ...change,
        ...(round % 5 === 0 ? { ingress: { ...model.ingress, tcpPorts } } : {}),
      });
      for (const slot of [c, d]) {
        await until("drain", 5_000, async () => {
          const address = `127.77.1.${slot}`;
          const { sessions, queued } = await net.client.sessions({ address, port: 8080 });
          return sessions + queued === 0 ? true : undefined;
        });
      }
      await apply({ endpoints: [endpoint(a), endpoint(b)] });
    }
    const { done, failures } = await load.stop();
    assert.deepEqual(failures.slice(0, 5), []);
    assert.ok(done > 1_000, `only ${done} requests overlapped the changes`);
    t.diagnostic(`requests during churn: ${done}, failed: ${failures.length}`);
  });

  test("a copy that leaves is in no file with which somebody else's reload would begin", async () => {
    const copies = () => {
      const text = readFileSync(join(net.dataDir, "haproxy/haproxy.cfg"), "utf8");
      return [1, 2, 3].filter((slot) => text.includes(` 127.77.1.${slot}:8080`));
    };
    await apply({ endpoints: [endpoint(1), endpoint(2)] });
    await until("the file has both", 5_000, () => (copies().length === 2 ? true : undefined));
    await apply({ endpoints: [endpoint(1, "draining"), endpoint(2), endpoint(3)] });
    assert.deepEqual(copies(), [2, 3]);
    await apply({ endpoints: [endpoint(3)] });
    assert.deepEqual(copies(), [3]);
  });

  test("removed copies leave HAProxy altogether", async () => {
    await apply({ endpoints: [endpoint(1)] });
    await apply({ endpoints: [] });
    await until("deletion", 5_000, async () => {
      const { sessions } = await net.client.sessions({ address: "127.77.1.1", port: 8080 });
      return sessions === 0 ? true : undefined;
    });
    assert.equal((await get("/")).status, 503);
  });

  test("kill -9 of net: HAProxy goes on, the new net follows the stored model and adopts it", async (t) => {
    await startCopy(t, 1);
    await apply({ endpoints: [endpoint(1)] });
    const { ingressPid } = await net.client.status();
    const load = traffic(t, 4);
    await until("requests", 5_000, () => (load.count() > 100 ? true : undefined));
    await net.kill();
    const atKill = load.count();
    await until("requests without net", 5_000, () =>
      load.count() > atKill + 100 ? true : undefined,
    );
    await net.start();
    const status = await net.client.waitApplied(generation, 5_000);
    assert.equal(status.ingressPid, ingressPid);
    const { failures } = await load.stop();
    assert.deepEqual(failures, []);
  });

  test("a request in flight on a copy that is removed after its drain is not cut", async (t) => {
    await Promise.all([startCopy(t, 1, 600), startCopy(t, 2)]);
    await apply({ endpoints: [endpoint(1)] });
    const inFlight = get("/slow");
    await until("session", 2_000, async () => {
      const { sessions } = await net.client.sessions({ address: "127.77.1.1", port: 8080 });
      return sessions === 1 ? true : undefined;
    });
    await apply({ endpoints: [endpoint(1, "draining"), endpoint(2)] });
    assert.equal((await get("/")).body, "2");
    await apply({ endpoints: [endpoint(2)] });
    assert.deepEqual((await inFlight).body, "1");
  });

  test("a TCP connection lives through a reload and its copy's drain, until the deadline", async (t) => {
    const target = { ...SERVICE, networkId: "n1", port: 7000 };
    const port = (hostPort: number) => ({
      id: `p${hostPort}`,
      hostAddress: "127.0.0.1",
      hostPort,
      target,
    });
    const ports = (...list: number[]) => ({
      ...loopbackModel(0, {}).ingress,
      tcpPorts: list.map(port),
      drainTimeoutMs: 300,
    });
    for (const slot of [1, 2]) await startEcho(t, slot);
    await apply({ endpoints: [endpoint(1)], ingress: ports(9200) });
    const before = await openEcho(9200);
    await apply({ endpoints: [endpoint(1)], ingress: ports(9200, 9201) });
    assert.equal(await before.say("after the reload"), "1:after the reload");
    const after = await openEcho(9201);
    assert.equal(await after.say("new"), "1:new");
    const counted = await net.client.sessions({ address: "127.77.1.1", port: 7000 });
    assert.equal(counted.sessions, 2, "those of the old worker count as well");

    await apply({ endpoints: [endpoint(1, "draining"), endpoint(2)], ingress: ports(9200, 9201) });
    assert.equal(await before.say("drained"), "1:drained");
    assert.equal(await after.say("drained"), "1:drained");
    const next = await openEcho(9200);
    assert.equal(await next.say("hello"), "2:hello");

    await apply({ endpoints: [endpoint(2)], ingress: ports(9200, 9201) });
    await after.closed;
    assert.equal(await next.say("still here"), "2:still here");
    for (const connection of [before, next]) connection.close();
  });

  test("kill -9 of HAProxy: it is back with all copies, its own remains are no stranger's", async (t) => {
    await startCopy(t, 2);
    await apply({ endpoints: [endpoint(2)] });
    const { ingressPid } = await net.client.status();
    assert.ok(ingressPid !== undefined);
    const killedAt = performance.now();
    process.kill(ingressPid, "SIGKILL");
    await until("restart", 5_000, async () => {
      const answer = await get("/").catch(() => undefined);
      const { ingressPid: now, ingress } = await net.client.status();
      assert.deepEqual(ingress.problems, []);
      return answer?.body === "2" && now !== ingressPid ? true : undefined;
    });
    const tookMs = performance.now() - killedAt;
    t.diagnostic(`HAProxy back after ${tookMs.toFixed(0)} ms`);
  });

  test("a taken port is a problem of its route alone and heals when it is free", async (t) => {
    await startCopy(t, 1);
    const holder = createServer();
    await new Promise<void>((resolve) => holder.listen(9100, "127.0.0.1", resolve));
    const target = { ...SERVICE, networkId: "n1", port: 8080 };
    const base = loopbackModel(0, {}).ingress;
    const ingress = {
      ...base,
      tcpPorts: [
        { id: "t1", hostAddress: "127.0.0.1", hostPort: 9100, target },
        { id: "t2", hostAddress: "127.0.0.1", hostPort: 9101, target },
        { id: "t3", hostAddress: "198.18.9.9", hostPort: 9102, target },
      ],
    };
    const report = await apply({ endpoints: [endpoint(1)], ingress });
    assert.deepEqual(report.ingress.problems, [
      {
        code: "port_taken",
        id: "t1",
        address: "127.0.0.1",
        port: 9100,
        holder: { pid: process.pid, name: "node" },
      },
      { code: "address_missing", id: "t3", address: "198.18.9.9", port: 9102 },
    ]);
    assert.equal((await get("/")).body, "1");
    await new Promise<void>((resolve, reject) => {
      const socket = connect(9101, "127.0.0.1", () => {
        socket.destroy();
        resolve();
      }).once("error", reject);
    });
    await new Promise((resolve) => holder.close(resolve));
    await until("the freed port is bound", 5_000, async () => {
      const { boundPorts } = await net.client.status();
      return boundPorts.some((port) => port.port === 9100) ? true : undefined;
    });
  });

  test("kill -9 of net and of HAProxy at once: everything is back from the disk", async (t) => {
    await startCopy(t, 1);
    await apply({ endpoints: [endpoint(1)] });
    const { ingressPid = -1 } = await net.client.status();
    await net.kill();
    process.kill(ingressPid, "SIGKILL");
    await net.start();
    await until("service", 5_000, async () =>
      (await get("/").catch(() => undefined))?.body === "1" ? true : undefined,
    );
    await net.client.waitApplied(generation, 5_000);
  });

  test("stop leaves HAProxy running unless told otherwise", async () => {
    await net.client.waitApplied(generation, 5_000);
    const { ingressPid = -1 } = await net.client.status();
    await net.client.stop({ ingress: false });
    await until("end of net", 5_000, () => (isAlive(net.pid()) ? undefined : true));
    assert.ok(isAlive(ingressPid));
    await net.start();
    await net.client.waitApplied(generation, 5_000);
    await net.client.stop({ ingress: true });
    await until("end of HAProxy", 5_000, () => (isAlive(ingressPid) ? undefined : true));
  });
});
