/** Lines as HAProxy 2.6.12 wrote them, and what readers get. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseAccessLine } from "./access-log-line.ts";

const ANSWERED =
  "H 1795730037654 default/main/shop/web http:r1 web-3:10.1.0.12:8080 192.0.2.7 GET HTTP/1.1" +
  " TLSv1.3 200 46 73 0 1 2 3 6 0 ---- /docs shop.test";

test("an answered request: every field, in the order of the reference", () => {
  const fields = parseAccessLine(ANSWERED);
  assert.deepEqual(fields, {
    time: "2026-11-26T21:53:57.654Z",
    client: "192.0.2.7",
    method: "GET",
    host: "shop.test",
    path: "/docs",
    protocol: "HTTP/1.1",
    tls: "TLSv1.3",
    route: "r1",
    service: "default/main/shop/web",
    task: "web-3",
    status: 200,
    bytesIn: 46,
    bytesOut: 73,
    requestMs: 0,
    queueMs: 1,
    connectMs: 2,
    answerMs: 3,
    totalMs: 6,
    retries: 0,
    end: "----",
  });
  assert.deepEqual(Object.keys(fields ?? {}).slice(0, 4), ["time", "client", "method", "host"]);
});

test("a host may hold anything, a path's bytes come back as they were", () => {
  const line = ANSWERED.replace("/docs shop.test", '/a#22b#23#C3#A4 x" "route":"r2  y\\ é');
  const fields = parseAccessLine(line);
  assert.equal(fields?.["host"], 'x" "route":"r2  y\\ é');
  assert.equal(fields["path"], '/a"b#ä');
  assert.equal(fields["route"], "r1");
  assert.deepEqual(JSON.parse(JSON.stringify(fields)), fields);
});

test("no route, no copy, no request, another copy: `-` and numbers", () => {
  const none =
    "H 1795730286276 - berth:unknown-host <NOSRV> ::1 <BADREQ> <BADREQ> - 404 64 56 0 -1 -1 -1 0 +2 LR-- <BADREQ> -";
  const fields = parseAccessLine(none);
  const of = (names: string) => names.split(" ").map((name) => fields?.[name]);
  assert.deepEqual(of("route service task method path host"), ["-", "-", "-", "-", "-", "-"]);
  assert.deepEqual(of("answerMs retries client"), [-1, 2, "::1"]);
  // Refused before a section was chosen: HAProxy names the port's.
  assert.equal(parseAccessLine(none.replace("berth:unknown-host", "http:any:80"))?.["route"], "-");
});

test("connections, and failed handshakes", () => {
  assert.deepEqual(
    parseAccessLine(
      "T 1795730286276 default/main/shop/db tcp:db db-1:10.1.0.9:5432 10.0.0.1 1 2 0 1 9 0 --",
    ),
    {
      time: "2026-11-26T21:58:06.276Z",
      client: "10.0.0.1",
      route: "db",
      service: "default/main/shop/db",
      task: "db-1",
      bytesIn: 1,
      bytesOut: 2,
      queueMs: 0,
      connectMs: 1,
      totalMs: 9,
      retries: 0,
      end: "--",
      protocol: "TCP",
    },
  );
  assert.equal(
    parseAccessLine("E 1795730286276 10.0.0.1 https:any:443 SSL handshake failure")?.["error"],
    "SSL handshake failure",
  );
});

test("HAProxy's remarks and halves of lines are no lines", () => {
  for (const line of ["Proxy http stopped.", "H", "H 1 2", ANSWERED.slice(0, 60), "{}", ""]) {
    assert.equal(parseAccessLine(line), undefined, line);
  }
});
