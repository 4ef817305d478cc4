/** TLS that ends at the ingress or passes through, proxies before it, upgrades, the access log, figures. */

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer as createHttpServer, request } from "node:http";
import { connect, createServer } from "node:net";
import { before, type TestContext, test } from "node:test";
import {
  connect as connectTls,
  createServer as createTlsServer,
  type PeerCertificate,
} from "node:tls";
import { parseAccessLine } from "../src/ingress/access-log-line.ts";
import type { HttpRouteModel } from "../src/model.ts";
import { selfSigned } from "./certificate.ts";
import { endpoint, inNamespace, until } from "./lab.ts";
import { ask, askH2, HTTPS_PORT, startEchoCopy, startH2Copy } from "./requests.ts";
import { route, routesLab, TARGET } from "./routes-lab.ts";

const HTTPS = { httpsPort: HTTPS_PORT };

/** Subject and version of what a client with this name is served. */
async function hello(
  servername: string,
  options: { readonly maxVersion?: "TLSv1.2" } = {},
): Promise<{ readonly subject: string; readonly version: string | null }> {
  const socket = connectTls({
    ...{ port: HTTPS_PORT, host: "127.0.0.1", servername, rejectUnauthorized: false },
    ...options,
  });
  try {
    await once(socket, "secureConnect");
    const { subject } = socket.getPeerCertificate() as PeerCertificate;
    return { subject: String(subject.CN), version: socket.getProtocol() };
  } finally {
    socket.destroy();
  }
}

/** A TLS server behind the ingress; says what came before the handshake, if it was a PROXY header. */
async function startTlsCopy(t: TestContext, port: number): Promise<{ readonly sources: string[] }> {
  const pem = selfSigned("inner.test");
  const inner = createTlsServer({ cert: pem, key: pem }, (socket) => socket.end("inner"));
  inner.on("tlsClientError", () => {});
  await new Promise<void>((resolve) => inner.listen(0, "127.0.0.1", resolve));
  const address = inner.address();
  const innerPort = typeof address === "object" && address !== null ? address.port : 0;
  const sources: string[] = [];
  const outer = createServer((socket) => {
    socket.on("error", () => {});
    socket.once("data", (chunk: Buffer) => {
      const hasHeader = chunk.subarray(0, 12).toString("latin1") === "\r\n\r\n\0\r\nQUIT\n";
      const bytes = hasHeader ? 16 + chunk.readUInt16BE(14) : 0;
      sources.push(hasHeader ? [...chunk.subarray(16, 20)].join(".") : "none");
      const onward = connect(innerPort, "127.0.0.1");
      onward.on("error", () => {});
      onward.write(chunk.subarray(bytes));
      socket.pipe(onward).pipe(socket);
    });
  });
  await new Promise<void>((resolve) => outer.listen(port, "127.77.1.1", resolve));
  t.after(() => {
    inner.close();
    outer.close();
  });
  return { sources };
}

/** Sends bytes as they are from an address and returns all that comes back. */
async function say(text: string | Buffer, from: string, port = 8000): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", localAddress: from });
  let said = "";
  socket.setEncoding("utf8").on("data", (chunk: string) => {
    said += chunk;
  });
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.write(text);
  await closed;
  return said;
}

inNamespace(import.meta.url, () => {
  const { net, apply, reloads } = routesLab();
  const fallback = { id: "d", hosts: [], pem: selfSigned("fallback.test"), default: true };
  const shop = { id: "s", hosts: ["shop.test", "*.shop.test"], pem: selfSigned("shop.test") };

  before(() => net.start());

  async function secure(
    t: TestContext,
    wish: Partial<HttpRouteModel> = {},
    more: HttpRouteModel[] = [],
  ) {
    await startEchoCopy(t, 1);
    const certificates = [fallback, shop];
    assert.deepEqual(await apply([route("r1", wish), ...more], { certificates }, HTTPS), []);
  }

  test("each host is served its certificate, others the default one", async (t) => {
    await secure(t);
    assert.equal((await hello("shop.test")).subject, "shop.test");
    assert.equal((await hello("a.shop.test")).subject, "shop.test");
    assert.equal((await hello("a.b.shop.test")).subject, "fallback.test");
    assert.equal((await hello("other.test")).subject, "fallback.test");
    const { got } = await ask({ tls: true });
    assert.equal(got?.headers["x-forwarded-proto"], "https");
    assert.equal((await ask()).got?.headers["x-forwarded-proto"], "http");
    assert.equal((await askH2("shop.test", { tls: true })).status, 200);
    assert.equal((await askH2("shop.test", { tls: false })).status, 200);
  });

  test("a renewed certificate and one for a new host are served without a reload", async (t) => {
    await secure(t);
    const loaded = await reloads();
    const renewed = { ...shop, pem: selfSigned("renewed.test") };
    const other = { id: "o", hosts: ["other.test"], pem: selfSigned("other.test") };
    await apply([route("r1")], { certificates: [fallback, renewed, other] }, HTTPS);
    assert.equal((await hello("shop.test")).subject, "renewed.test");
    assert.equal((await hello("other.test")).subject, "other.test");
    const newFallback = { ...fallback, pem: selfSigned("fallback2.test") };
    await apply([route("r1")], { certificates: [newFallback, renewed] }, HTTPS);
    assert.equal((await hello("other.test")).subject, "fallback2.test");
    assert.equal((await hello("shop.test")).subject, "renewed.test");
    assert.equal(await reloads(), loaded);
  });

  test("a certificate that cannot be used is named, its host gets the default one", async (t) => {
    await startEchoCopy(t, 1);
    const broken = { id: "b", hosts: ["broken.test"], pem: shop.pem.replace(/MII/, "AAA") };
    const mixed = {
      ...{ id: "m", hosts: ["mixed.test"] },
      pem: shop.pem.replace(
        /-----BEGIN PRIVATE[\s\S]*/,
        fallback.pem.replace(/^[\s\S]*?(?=-----BEGIN PRIVATE)/, ""),
      ),
    };
    const problems = await apply([route("r1")], { certificates: [fallback, broken, mixed] }, HTTPS);
    assert.deepEqual(problems, [
      { code: "certificate_invalid", id: "b", detail: "its certificate or key cannot be read" },
      { code: "certificate_invalid", id: "m", detail: "its private key is another certificate's" },
    ]);
    assert.equal((await hello("broken.test")).subject, "fallback.test");
  });

  test("HTTPS alone: HTTP is sent there, browsers are told, old TLS is refused", async (t) => {
    const hsts = { maxAgeSeconds: 60, subdomains: true };
    const plain = route("plain", { hosts: ["plain.test"], tls: "off" });
    await secure(t, { tls: "required", hsts, tlsVersionMin: "1.3" }, [plain]);
    const moved = await ask({ path: "/a?b=c", method: "POST", host: "shop.test:8000" });
    assert.equal(moved.status, 308);
    assert.equal(moved.headers.location, "https://shop.test:8443/a?b=c");
    const { status, headers } = await ask({ tls: true });
    assert.equal(status, 200);
    assert.equal(headers["strict-transport-security"], "max-age=60; includeSubDomains");
    await assert.rejects(hello("shop.test", { maxVersion: "TLSv1.2" }));
    assert.equal((await hello("plain.test", { maxVersion: "TLSv1.2" })).version, "TLSv1.2");
    assert.equal((await ask({ host: "plain.test", tls: true })).status, 404);
    assert.equal((await ask({ host: "plain.test" })).status, 200);
  });

  test("HTTPS alone without a certificate is a problem of its route, told to the client as well", async (t) => {
    await startEchoCopy(t, 1);
    const problems = await apply(
      [route("r1", { tls: "required" }), route("r2", { hosts: ["b.test"] })],
      {},
      HTTPS,
    );
    assert.deepEqual(problems, [
      { code: "no_https", id: "r1", detail: "there is no certificate at all" },
    ]);
    const refused = await ask();
    assert.deepEqual([refused.status, refused.headers["x-berth-error"]], [421, "no_https"]);
    assert.equal((await ask({ host: "b.test" })).status, 200);
  });

  test("TLS passes through by name on the port where others' ends, with the client's address", async (t) => {
    const { sources } = await startTlsCopy(t, 7443);
    await startEchoCopy(t, 1);
    const named = {
      ...{ id: "p1", hostAddress: "127.0.0.1", hostPort: HTTPS_PORT },
      ...{ target: { ...TARGET, port: 7443 }, serverNames: ["inner.test", "*.in.test"] },
      proxyProtocol: true,
    };
    const other = {
      ...named,
      id: "p2",
      hostPort: 9443,
      serverNames: ["x.test"],
      proxyProtocol: false,
    };
    const ports = { ...HTTPS, tcpPorts: [named, other] };
    assert.deepEqual(await apply([route("r1")], { certificates: [fallback, shop] }, ports), []);
    assert.equal((await hello("inner.test")).subject, "inner.test");
    assert.equal((await hello("A.in.test")).subject, "inner.test");
    assert.equal((await hello("shop.test")).subject, "shop.test");
    assert.deepEqual(sources, ["127.0.0.1", "127.0.0.1"]);
    const { got } = await ask({ tls: true, from: "127.0.0.7" });
    assert.equal(got?.headers["x-forwarded-for"], "127.0.0.7", "also behind the look at the name");
    // Another shared port, without HTTPS behind it.
    const outside = connectTls({
      port: 9443,
      host: "127.0.0.1",
      servername: "y.test",
      rejectUnauthorized: false,
    });
    await once(outside, "error");
    assert.deepEqual(await apply([route("r1")], { certificates: [fallback, shop] }, HTTPS), []);
    assert.equal((await hello("inner.test")).subject, "fallback.test");
  });

  test("proxies that are trusted are believed, strangers are not", async (t) => {
    await startEchoCopy(t, 1);
    const trusted = { trustedProxies: ["127.0.0.0/30"], proxyProtocolFrom: ["127.0.0.9"] };
    const deny = { deny: ["192.0.2.66"] };
    assert.deepEqual(await apply([route("r1", deny)], {}, trusted), []);
    const seen = async (from: string, forwarded: string) => {
      const headers = { "x-forwarded-for": forwarded, "x-forwarded-proto": "https" };
      const { got, status } = await ask({ from, headers });
      return [status, got?.headers["x-forwarded-for"], got?.headers["x-forwarded-proto"]];
    };
    assert.deepEqual(await seen("127.0.0.5", "192.0.2.1"), [200, "127.0.0.5", "http"]);
    assert.deepEqual(await seen("127.0.0.1", "192.0.2.1"), [200, "192.0.2.1, 127.0.0.1", "https"]);
    assert.equal((await seen("127.0.0.1", "192.0.2.66"))[0], 403);
    assert.equal((await seen("127.0.0.1", "192.0.2.66, 127.0.0.2"))[0], 403, "two hops");
    assert.equal(
      (await seen("127.0.0.1", "192.0.2.66, 198.51.100.1"))[0],
      200,
      "a stranger's word",
    );
    const call = "GET / HTTP/1.0\r\nHost: shop.test\r\n\r\n";
    const proxied = await say(`PROXY TCP4 192.0.2.7 192.0.2.8 1 2\r\n${call}`, "127.0.0.9");
    assert.match(proxied, /"x-forwarded-for":"192\.0\.2\.7"/);
    assert.doesNotMatch(await say(call, "127.0.0.9"), /200 OK/, "it must begin with the header");
  });

  test("ACME's questions are answered before every route", async (t) => {
    await startEchoCopy(t, 1);
    const acmeThumbprint = "0123456789abcdefghijABCDEFGHIJ0123456789abc";
    await apply(
      [route("r1", { tls: "required" })],
      { acmeThumbprint, certificates: [fallback] },
      HTTPS,
    );
    const { status, text } = await ask({ path: "/.well-known/acme-challenge/tok-en_1" });
    assert.deepEqual([status, text], [200, `tok-en_1.${acmeThumbprint}`]);
    assert.equal((await ask({ host: "x", path: "/.well-known/acme-challenge/t" })).status, 200);
    assert.equal((await ask({ path: "/.well-known/acme-challenge/a/b" })).status, 308);
  });

  test("upgraded connections, streams of events, HTTP/2 to the copies", async (t) => {
    const server = createHttpServer((_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("data: one\n\n");
    });
    server.on("upgrade", (_request, socket) => {
      socket.write(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: test\r\nConnection: Upgrade\r\n\r\n",
      );
      socket.on("data", (chunk: Buffer) => socket.write(`heard ${chunk.toString()}`));
    });
    await new Promise<void>((resolve) => server.listen(8080, "127.77.1.1", resolve));
    t.after(() => server.closeAllConnections());
    t.after(() => server.close());
    await startH2Copy(t, 2);
    const grpc = { ...endpoint(2), service: "grpc" };
    const routes = [
      route("r1", { compression: true }),
      route("r2", {
        hosts: ["grpc.test"],
        protocol: "h2c",
        target: { ...TARGET, service: "grpc" },
      }),
    ];
    // Once in the file, once added to the running one.
    for (const endpoints of [[endpoint(1), grpc], [endpoint(1)], [endpoint(1), grpc]]) {
      await apply(routes, { endpoints });
    }
    const call = request({
      port: 8000,
      headers: { host: "shop.test", connection: "upgrade", upgrade: "test" },
    });
    call.end();
    const [, socket] = await once(call, "upgrade");
    socket.write("hello");
    assert.equal(String((await once(socket, "data"))[0]), "heard hello");
    socket.destroy();
    const events = request({
      port: 8000,
      headers: { host: "shop.test", "accept-encoding": "gzip" },
    });
    events.end();
    const [stream] = await once(events, "response");
    assert.equal(String((await once(stream, "data"))[0]), "data: one\n\n");
    events.destroy();
    const answer = await askH2("grpc.test", { tls: false, path: "/call" });
    assert.deepEqual([answer.status, answer.text], [200, "h2 2 /call"]);
    assert.equal(answer.trailers["grpc-status"], "0");
  });

  test("each request is a line of the access log, with its route and copy, without its query", async (t) => {
    await startEchoCopy(t, 1);
    await apply([route("r1"), route("quiet", { hosts: ["quiet.test"], accessLog: false })]);
    await ask({ path: '/a"b?token=secret', headers: { authorization: "Basic c2VjcmV0" } });
    await ask({ host: "quiet.test", path: "/unheard" });
    await ask({ host: "nobody.test", path: "/unknown" });
    const path = `${net.dataDir}/haproxy/access.log`;
    const text = await until("lines", 5_000, () => {
      const read = readFileSync(path, "utf8");
      return read.includes("/unknown") ? read : undefined;
    });
    const lines = text
      .split("\n")
      .map(parseAccessLine)
      .filter((each) => each !== undefined);
    const unknown = lines.find((each) => each["path"] === "/unknown");
    assert.deepEqual(
      ["host", "route", "service", "task", "status"].map((name) => unknown?.[name]),
      ["nobody.test", "-", "-", "-", 404],
    );
    const line = lines.find((each) => each["path"] === '/a"b');
    assert.ok(line !== undefined);
    const { time, client, method, host, route: id, service, task, status, end } = line;
    assert.deepEqual(
      { client, method, host, id, service, task, status, end },
      {
        client: "127.0.0.1",
        method: "GET",
        host: "shop.test",
        id: "r1",
        service: "default/main/shop/web",
        task: "task1",
        status: 200,
        end: "----",
      },
    );
    assert.ok(Math.abs(Date.parse(String(time)) - Date.now()) < 60_000, String(time));
    assert.doesNotMatch(text, /secret|c2VjcmV0|unheard/);
  });

  test("no request fails while hosts, certificates and policies change under it", async (t) => {
    await Promise.all([startEchoCopy(t, 1), startEchoCopy(t, 2)]);
    const others = [selfSigned("other.test"), selfSigned("other.test")];
    const failures: string[] = [];
    let done = 0;
    let running = true;
    const client = async (tls: boolean) => {
      while (running) {
        const answer = await ask({ tls }).catch((error: unknown) => ({ status: String(error) }));
        if (answer.status !== 200) failures.push(`${answer.status}`);
        done++;
      }
    };
    const change = (round: number) =>
      apply(
        [
          // Every fifth round has another policy, which needs a reload; the others need none.
          route("r1", round % 5 === 0 ? { retries: 2 } : {}),
          route("moving", { hosts: [`h${round}.test`, "*.moving.test"] }),
        ],
        {
          certificates: [
            fallback,
            shop,
            { id: "o", hosts: ["other.test", `h${round}.test`], pem: others[round % 2] ?? "" },
          ],
          endpoints: [endpoint(1), endpoint(2, round % 3 === 0 ? "draining" : "ready")],
        },
        HTTPS,
      );
    await change(1);
    const clients = [false, false, true, true].map(client);
    for (let round = 2; round < 32; round++) assert.deepEqual(await change(round), []);
    running = false;
    await Promise.all(clients);
    assert.deepEqual(failures.slice(0, 5), []);
    assert.ok(done > 100, `only ${done} requests overlapped the changes`);
    t.diagnostic(`requests during changes: ${done}, failed: ${failures.length}`);
  });

  test("figures of a route go on over a reload", async (t) => {
    await startEchoCopy(t, 1);
    const count = async () => {
      const figures = (await net.client.routes()).find(({ routeId }) => routeId === "fig");
      return [figures?.requests, figures?.statuses[1], figures?.statuses[3]];
    };
    await apply([route("fig")]);
    for (let i = 0; i < 5; i++) await ask();
    await ask({ path: "/status/404" });
    assert.deepEqual(await count(), [6, 5, 1]);
    await apply([route("fig"), route("another", { hosts: ["b.test"] })]);
    await ask();
    assert.deepEqual(await count(), [7, 6, 1]);
    assert.match(
      await net.client.metrics(),
      /^berth_net_route_answers_total\{route="fig",class="2xx"\} 6$/m,
    );
  });
});
