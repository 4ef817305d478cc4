/** Routes from the stack file to a real HAProxy: conditions, a door with users, figures, the log, clashes. */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { eventually, get, TestPlatform } from "./test-platform.ts";

let platform: TestPlatform;

before(async () => {
  platform = await TestPlatform.start();
  await platform.must("image", "base", "berth/busybox", "--busybox-only");
});

after(() => platform.uninstall());

function file(name: string, text: string): string {
  const path = join(platform.folder, name);
  writeFileSync(path, text);
  return path;
}

const SHOP = (users: string, more = "") => `
services:
  web:
    image: berth/busybox
    command: [sh, -c, 'mkdir -p /w/v2 && echo web > /w/index.html && echo v2 > /w/v2/index.html && exec httpd -f -p 80 -h /w']
    stop_signal: SIGKILL
    expose: ["80"]
    x-berth:
      min_healthy: 100ms
      drain: 0s
      routes:
        - host: [shop.test, www.shop.test]
        - host: shop.test
          path: /api
          rewrite: {replace: /api, by: /v2}
          response_headers: {set: {X-Api: "2"}}
        - {host: old.test, redirect: {host: shop.test, code: 301}}
        - host: admin.test
          auth: {secret: users, realm: Shop}
          rate: {requests: 100, per: 1s}
        - {host: shop.test, methods: [POST], headers: {X-Canary: "yes"}, errors: {"503": soon}}
        - {tcp: ${9_000 + (process.pid % 1_000)}}
${more}
secrets:
  users: {file: ${users}}
`;

interface RouteRow {
  readonly route: string;
  readonly state: string;
  readonly ready: number;
  readonly problems: readonly string[];
  readonly traffic?: { readonly requests: number };
}

const ask = (host: string, path = "/", headers: Record<string, string> = {}) =>
  get({ port: platform.httpPort, path, headers: { host, ...headers } });

test("each key of a route does what it says, from the file to HAProxy", async () => {
  const hash = execFileSync("openssl", ["passwd", "-5", "-salt", "saltsalt", "secret"]).toString();
  const users = file("users.txt", `ada:${hash}`);
  await platform.must("deploy", "-f", file("shop.yaml", SHOP(users)), "--stack", "shop");
  assert.equal((await ask("shop.test")).body, "web\n");
  assert.equal((await ask("www.shop.test")).body, "web\n");
  const api = await ask("shop.test", "/api/");
  assert.deepEqual([api.body, api.headers["x-api"]], ["v2\n", "2"]);
  const moved = await ask("old.test", "/x?y");
  assert.deepEqual([moved.status, moved.headers["location"]], [301, "http://shop.test/x?y"]);
  const basic = `Basic ${Buffer.from("ada:secret").toString("base64")}`;
  await eventually("the users are known", async () => (await ask("admin.test")).status === 401);
  assert.equal((await ask("admin.test", "/", { authorization: basic })).body, "web\n");
});

test("another password and another host reach running copies without a new container", async () => {
  const before = await platform.json<{ task: { id: string } }>("ps", "shop");
  const hash = execFileSync("openssl", ["passwd", "-5", "-salt", "saltsalt", "other"]).toString();
  const users = file("users.txt", `ada:${hash}`);
  const text = SHOP(users).replace("www.shop.test", "new.shop.test");
  await platform.must("deploy", "-f", file("shop.yaml", text), "--stack", "shop");
  const basic = `Basic ${Buffer.from("ada:other").toString("base64")}`;
  await eventually(
    "the new password lets in",
    async () => (await ask("admin.test", "/", { authorization: basic })).status === 200,
  );
  assert.equal((await ask("new.shop.test")).body, "web\n");
  assert.equal((await ask("www.shop.test")).status, 404);
  const after = await platform.json<{ task: { id: string } }>("ps", "shop");
  assert.deepEqual(
    after.map(({ task }) => task.id),
    before.map(({ task }) => task.id),
  );
});

test("routes are listed with what they were asked, requests are in the log", async () => {
  await ask("shop.test", "/missing?token=secret");
  const rows = await platform.json<RouteRow>("route", "ls", "shop");
  assert.deepEqual(
    rows.map(({ route }) => route.replace(/^:\d+$/, ":PORT")),
    [
      "shop.test/",
      "shop.test/api",
      "old.test/",
      "admin.test/",
      "shop.test/ [POST, X-Canary exact yes]",
      ":PORT",
    ],
  );
  for (const row of rows)
    assert.deepEqual([row.state, row.ready, row.problems], ["serving", 1, []]);
  assert.ok((rows[0]?.traffic?.requests ?? 0) >= 2);
  await eventually("the line is there", async () => {
    const lines = await platform.json<Record<string, unknown>>("route", "logs", "shop/web");
    const line = lines.find((each) => each["path"] === "/missing");
    return line?.["status"] === 404 && line["service"] === "default/main/shop/web";
  });
  assert.doesNotMatch(await platform.must("route", "logs", "shop", "-n", "1000"), /token/);
});

test("what clashes or makes no sense is refused with its place and its holder", async () => {
  const clash = file(
    "clash.yaml",
    `services: {a: {image: berth/busybox, x-berth: {routes: [{host: shop.test, path: /api/, port: 1}]}}}\n`,
  );
  const refused = await platform.berth("deploy", "-f", clash, "--stack", "other");
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, /shop\.test\/api belongs to default\/main\/shop\/web/);
  const broken = file(
    "broken.yaml",
    `services:\n  a:\n    image: berth/busybox\n    x-berth:\n      routes:\n        - host: a.test\n        - {host: b.test, port: 1, allow: [10.0.0.0/33]}\n`,
  );
  const wrong = await platform.berth("deploy", "-f", broken, "--stack", "other");
  assert.notEqual(wrong.code, 0);
  assert.match(wrong.stderr, /broken\.yaml:6.*the port is missing/s);
  assert.match(wrong.stderr, /broken\.yaml:7.*10\.0\.0\.0\/33/s);
});
