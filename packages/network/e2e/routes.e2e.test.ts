/** What routes wish, against a real HAProxy: who gets which request, what is changed, who is let in. */

import assert from "node:assert/strict";
import { before, type TestContext, test } from "node:test";
import type { HttpRouteModel } from "../src/model.ts";
import { endpoint, inNamespace } from "./lab.ts";
import { type Ask, ask, startEchoCopy } from "./requests.ts";
import { route, routesLab, TARGET } from "./routes-lab.ts";

inNamespace(import.meta.url, () => {
  const { net, apply, reloads } = routesLab();

  async function served(t: TestContext, wish: Partial<HttpRouteModel>) {
    await startEchoCopy(t, 1);
    assert.deepEqual(await apply([route("r1", wish)]), []);
  }

  /** Which route answered: each leads to a port of its own. */
  async function whoAnswers(wish: Ask): Promise<string> {
    const answer = await ask(wish);
    return answer.status === 200 ? `${answer.headers["x-route"]}` : `${answer.status}`;
  }

  before(() => net.start());

  test("methods, headers, paths and expressions decide, the most telling first", async (t) => {
    await startEchoCopy(t, 1);
    const named = (id: string, wish: Partial<HttpRouteModel>) =>
      route(id, { ...wish, responseHeaders: [{ kind: "set", name: "X-Route", value: id }] });
    const routes = [
      named("all", {}),
      named("post", { methods: ["POST", "PUT"] }),
      named("canary", { headers: [{ name: "X-Canary", kind: "exact", value: "a b|c" }] }),
      named("both", {
        methods: ["POST"],
        headers: [{ name: "X-Canary", kind: "exact", value: "a b|c" }],
      }),
      named("bot", { headers: [{ name: "User-Agent", kind: "regex", value: "[Bb]ot" }] }),
      named("versions", { pathRegex: "/v[0-9]+/.*" }),
      named("status", { pathExact: "/status" }),
      named("api", { pathPrefix: "/api" }),
      named("wild", { hosts: ["*.shop.test"] }),
      named("deep", { hosts: ["*.eu.shop.test"], pathPrefix: "/img" }),
      named("rest", { hosts: ["*"], pathPrefix: "/help" }),
    ];
    assert.deepEqual(await apply(routes), []);
    const canary = { "x-canary": "a b|c" };
    const cases: readonly (readonly [Ask, string])[] = [
      [{}, "all"],
      [{ method: "POST" }, "post"],
      [{ method: "DELETE" }, "all"],
      [{ headers: canary }, "canary"],
      [{ method: "POST", headers: canary }, "both"],
      [{ headers: { "x-canary": "other" } }, "all"],
      [{ headers: { "user-agent": "a Bot" } }, "bot"],
      [{ path: "/v2/x?a=b" }, "versions"],
      [{ path: "/v2" }, "all"],
      [{ path: "/status" }, "status"],
      [{ path: "/status/" }, "all"],
      [{ path: "/api/x" }, "api"],
      [{ path: "/apis" }, "all"],
      [{ host: "SHOP.test." }, "all"],
      [{ host: "a.shop.test" }, "wild"],
      [{ host: "a.b.eu.shop.test", path: "/img/x" }, "deep"],
      [{ host: "a.b.eu.shop.test" }, "wild"],
      [{ host: "eu.shop.test", path: "/img" }, "wild"],
      [{ host: "nobody.test", path: "/help" }, "rest"],
      [{ host: "nobody.test", path: "/" }, "404"],
      [{ host: "shop.test/api" }, "400"],
    ];
    for (const [wish, route] of cases) {
      assert.equal(await whoAnswers(wish), route, JSON.stringify(wish));
    }
  });

  test("prefixes are taken away or replaced, headers set, added and removed", async (t) => {
    await served(t, {
      pathPrefix: "/api",
      rewrite: { kind: "replace-prefix", prefix: "/api", by: "/v2" },
      requestHeaders: [
        { kind: "set", name: "X-Set", value: "100% 'sure'" },
        { kind: "remove", name: "X-Drop" },
      ],
      responseHeaders: [
        { kind: "remove", name: "X-From-Copy" },
        { kind: "add", name: "X-Added", value: "it's" },
      ],
    });
    const { got, headers } = await ask({ path: "/api/x?q=1", headers: { "x-drop": "1" } });
    assert.equal(got?.url, "/v2/x?q=1");
    assert.equal(got?.headers["x-set"], "100% 'sure'");
    assert.equal(got?.headers["x-drop"], undefined);
    assert.equal(headers["x-from-copy"], undefined);
    assert.equal(headers["x-added"], "it's");
    assert.equal((await ask({ path: "/api" })).got?.url, "/v2");
    assert.deepEqual(
      await apply([route("r1", { rewrite: { kind: "strip-prefix", prefix: "/a.b" } })]),
      [],
    );
    assert.equal((await ask({ path: "/a.b/c" })).got?.url, "/c");
    assert.equal((await ask({ path: "/axb/c" })).got?.url, "/axb/c");
    assert.equal((await ask({ path: "/a.b" })).got?.url, "/");
    const users = { kind: "regex", regex: "^/u/([0-9]+)$", by: "/user/\\1" } as const;
    await apply([route("r1", { rewrite: users })]);
    assert.equal((await ask({ path: "/u/7?x" })).got?.url, "/user/7?x");
    await apply([route("r1", { rewrite: { kind: "set-path", path: "/one" } })]);
    assert.equal((await ask({ path: "/any?x" })).got?.url, "/one?x");
  });

  test("a redirect keeps what it does not change", async () => {
    const to = async (redirect: NonNullable<HttpRouteModel["redirect"]>, pathPrefix = "/") => {
      await apply([route("r1", { redirect, pathPrefix })]);
      const { status, headers } = await ask({ path: "/old/x?q=1", host: "shop.test:8000" });
      return `${status} ${headers.location}`;
    };
    assert.equal(await to({ code: 308, host: "new.test" }), "308 http://new.test/old/x?q=1");
    assert.equal(
      await to({ code: 301, prefix: "/new" }, "/old"),
      "301 http://shop.test:8000/new/x?q=1",
    );
    assert.equal(
      await to({ code: 302, path: "/gone", scheme: "https", port: 9443 }),
      "302 https://shop.test:9443/gone?q=1",
    );
  });

  test("a password lets in and does not reach the copy; unknown users let nobody in", async (t) => {
    // `secret` by crypt's SHA-256.
    const hash = "$5$rounds=1000$saltsalt$eKLZU9t9OoPWrqOQsoTIKG0aYkZ5rGOoOQhiIvoSWX2";
    await served(t, { auth: { realm: "it's mine", users: [{ name: "ada", hash }] } });
    const say = (text: string) => ({
      headers: { authorization: `Basic ${Buffer.from(text).toString("base64")}` },
    });
    const refused = await ask();
    assert.equal(refused.status, 401);
    assert.match(refused.headers["www-authenticate"] ?? "", /realm="it's mine"/);
    assert.equal((await ask(say("ada:wrong"))).status, 401);
    const { status, got } = await ask(say("ada:secret"));
    assert.deepEqual([status, got?.headers["authorization"]], [200, undefined]);
    await apply([route("r1", { auth: { realm: "x", users: [] } })]);
    const closed = await ask(say("ada:secret"));
    assert.deepEqual([closed.status, closed.headers["x-berth-error"]], [503, "users_missing"]);
  });

  test("addresses are let in or not, and not too often", async (t) => {
    await served(t, { allow: ["127.0.0.0/24"], deny: ["127.0.0.9"] });
    const status = async (from: string) => (await ask({ from })).status;
    assert.equal(await status("127.0.0.1"), 200);
    assert.equal(await status("127.0.0.9"), 403);
    assert.equal(await status("127.0.1.1"), 403);
    await apply([route("r1", { rateLimit: { requests: 3, periodMs: 60_000 } })]);
    const some = [];
    for (let i = 0; i < 5; i++) some.push((await ask({ from: "127.0.0.2" })).status);
    assert.deepEqual(some, [200, 200, 200, 429, 429]);
    const other = await ask({ from: "127.0.0.3" });
    assert.equal(other.status, 200, "another client has a rate of its own");
  });

  test("bodies over the limit are refused, also when their size is not told", async (t) => {
    await served(t, { bodyBytesMax: 100 });
    const send = async (headers: Record<string, string>, size: number) =>
      (await ask({ method: "POST", headers, body: "x".repeat(size) })).status;
    assert.equal(await send({ "content-length": "100" }, 100), 200);
    assert.equal(await send({ "content-length": "101" }, 101), 413);
    assert.equal(await send({ "transfer-encoding": "chunked" }, 10), 411);
    assert.equal((await ask({ method: "POST" })).status, 200);
    assert.equal((await ask()).status, 200);
  });

  test("answers are compressed for those who take it", async (t) => {
    await served(t, { compression: true });
    const { headers } = await ask({ headers: { "accept-encoding": "gzip" } });
    assert.equal(headers["content-encoding"], "gzip");
    assert.equal((await ask()).headers["content-encoding"], undefined);
  });

  test("a route's own pages take the place of the platform's, and of the copy's when asked to", async (t) => {
    const page = (status: number, body: string, intercept = false) => ({
      status,
      contentType: "text/html",
      body,
      intercept,
    });
    const errorPages = [page(503, "<h1>it's back soon</h1>"), page(404, "<h1>lost</h1>", true)];
    await apply([route("r1", { errorPages })], { endpoints: [] });
    const none = await ask();
    assert.deepEqual([none.status, none.text], [503, "<h1>it's back soon</h1>"]);
    await startEchoCopy(t, 1);
    await apply([route("r1", { errorPages })]);
    const lost = await ask({ path: "/status/404" });
    assert.deepEqual([lost.status, lost.text], [404, "<h1>lost</h1>"]);
    assert.equal((await ask({ path: "/status/500" })).got?.slot, 1);
  });

  test("a cookie keeps a client at its copy, until that is taken out of service", async (t) => {
    await Promise.all([startEchoCopy(t, 1), startEchoCopy(t, 2)]);
    const routes = [route("r1", { sticky: { kind: "cookie", name: "SHOP" } })];
    // Both ways into HAProxy: written in the file, and added to the running one.
    await apply(routes, { endpoints: [endpoint(1)] });
    await apply(routes, { endpoints: [endpoint(1), endpoint(2)] });
    const first = await ask();
    const [cookie = ""] = first.headers["set-cookie"] ?? [];
    assert.match(cookie, /^SHOP=[0-9a-f]+; path=\/; HttpOnly; SameSite=Lax/i);
    const slot = first.got?.slot ?? 0;
    const headers = { cookie: cookie.split(";", 1)[0] ?? "" };
    for (let i = 0; i < 10; i++) assert.equal((await ask({ headers })).got?.slot, slot);
    const endpoints = [1, 2].map((each) => endpoint(each, each === slot ? "draining" : "ready"));
    await apply(routes, { endpoints });
    const moved = await ask({ headers });
    assert.equal(moved.got?.slot, 3 - slot);
    assert.notEqual(moved.headers["set-cookie"], undefined);
  });

  test("an address stays at its copy, and others are elsewhere", async (t) => {
    const slots = [1, 2, 3];
    await Promise.all(slots.map((slot) => startEchoCopy(t, slot)));
    const routes = [route("r1", { sticky: { kind: "source" } })];
    await apply(routes, { endpoints: [] });
    await apply(routes, { endpoints: slots.map((slot) => endpoint(slot)) });
    const at = async (from: string) => (await ask({ from })).got?.slot;
    const clients = Array.from({ length: 24 }, (_, index) => `127.0.0.${index + 1}`);
    const first = new Map<string, number | undefined>();
    for (const client of clients) first.set(client, await at(client));
    for (const client of clients) assert.equal(await at(client), first.get(client));
    assert.ok(new Set(first.values()).size > 1);
    // Another route: HAProxy is reloaded, and everybody stays.
    await apply([...routes, route("r2", { hosts: ["b.test"] })], {
      endpoints: slots.map((slot) => endpoint(slot)),
    });
    for (const client of clients) assert.equal(await at(client), first.get(client));
  });

  test("a part of the requests goes to another service, whatever the numbers of copies", async (t) => {
    await Promise.all([1, 2, 3].map((slot) => startEchoCopy(t, slot)));
    const target = { ...TARGET, service: "next" };
    const routes = [route("r1", { splits: [{ target, percent: 20 }] })];
    const endpoints = [endpoint(1), endpoint(2), { ...endpoint(3), service: "next" }];
    await apply(routes, { endpoints });
    const counts = [0, 0, 0, 0];
    for (let i = 0; i < 200; i++) {
      const slot = (await ask()).got?.slot ?? 0;
      counts[slot] = (counts[slot] ?? 0) + 1;
    }
    assert.ok(Math.abs((counts[3] ?? 0) - 40) <= 4, `of 200: ${counts.slice(1)}`);
    const before = await reloads();
    await apply([route("r1", { splits: [{ target, percent: 20 }] })], {
      endpoints: [endpoint(1), { ...endpoint(3), service: "next" }],
    });
    assert.equal(await reloads(), before);
  });

  test("another host of a route needs no reload", async (t) => {
    await served(t, {});
    const before = await reloads();
    await apply([route("r1", { hosts: ["shop.test", "more.test"] })]);
    assert.equal((await ask({ host: "more.test" })).status, 200);
    await apply([route("r1", { hosts: ["more.test"] })]);
    assert.equal((await ask()).status, 404);
    assert.equal(await reloads(), before);
  });

  test("an expression that only HAProxy cannot read leaves out its route alone", async (t) => {
    await startEchoCopy(t, 1);
    const broken = route("broken", { pathRegex: "/[[:nothing:]]" });
    const other = route("other", { hosts: ["other.test"], pathRegex: "/[a-z]+" });
    const problems = await apply([broken, other, route("plain")]);
    assert.equal(problems.length, 1);
    assert.deepEqual(
      [problems[0]?.code, problems[0] && "id" in problems[0] && problems[0].id],
      ["route_invalid", "broken"],
    );
    assert.equal((await ask()).status, 200);
    assert.equal((await ask({ host: "other.test", path: "/abc" })).status, 200);
    assert.deepEqual(
      await apply([route("broken", { pathRegex: "/x" }), other, route("plain")]),
      [],
    );
  });
});
