import assert from "node:assert/strict";
import { test } from "node:test";
import { modelOf } from "../testing/model-text.ts";
import { explain, type LookupQuestion } from "./explain.ts";
import { buildTables } from "./tables.ts";

const MODEL = modelOf(`
network n1 shop 10.1.0.0/24
network n2 blog 10.2.0.0/24
service shop/web n1 vip=10.200.0.5 ports=http:80/tcp
service shop/db n1
service blog/web n2 alias=www
endpoint shop/web 1 n1 10.1.0.11
endpoint blog/web 1 n2 10.2.0.11
attachment shop/web 1 n1 10.1.0.11
attachment shop/db 1 n1 10.1.0.21
attachment blog/web 1 n2 10.2.0.11
forwarder 10.0.0.2
`);

function asked(question: Partial<LookupQuestion>): string {
  const full = { name: "web", type: "A" as const, ...question };
  const result = explain(MODEL, buildTables(MODEL), full);
  if (!result.ok) return result.reason;
  const { asker, code, records, because } = result.report;
  return [code, ...records, `${asker.who} (${asker.networks.join(" ")})`, because].join(" | ");
}

test("an answer comes with who asked, from where it sees, and why", () => {
  assert.deepEqual(
    [
      asked({ from: "shop/db" }),
      asked({ name: "WWW.", from: "10.2.0.11" }),
      asked({ name: "db", from: "shop/web" }),
      asked({ name: "db-1", from: "shop/web" }),
      asked({ name: "nosuch", from: "shop/web" }),
      asked({ name: "main.default.berth", from: "shop/web" }),
      asked({ name: "www.example.com", from: "shop/web" }),
      asked({}),
      asked({ name: "tasks.web.shop.main.default.berth" }),
      asked({ name: "_http._tcp.web", type: "SRV", from: "db" }),
    ],
    [
      "NOERROR | web 1 A 10.200.0.5 | default/main/shop/db, task shop-db-1 at 10.1.0.21 (shop/default) | a service (or its alias) on network shop/default: web.shop.main.default.berth; it has an address of its own, behind which 1 of 1 attached copies are ready",
      "NOERROR | www 1 A 10.2.0.11 | default/main/blog/web, task blog-web-1 at 10.2.0.11 (blog/default) | a service (or its alias) on network blog/default: web.blog.main.default.berth; 1 of 1 attached copies are ready",
      "NODATA | default/main/shop/web, task shop-web-1 at 10.1.0.11 (shop/default) | a service (or its alias) on network shop/default: db.shop.main.default.berth; 0 of 1 attached copies are ready",
      "NODATA | default/main/shop/web, task shop-web-1 at 10.1.0.11 (shop/default) | one copy of a service on network shop/default; it is attached, and not ready",
      "NXDOMAIN | default/main/shop/web, task shop-web-1 at 10.1.0.11 (shop/default) | no service, alias or host name nosuch on shop/default",
      "NODATA | default/main/shop/web, task shop-web-1 at 10.1.0.11 (shop/default) | names of services are below it; it has no data itself",
      "FORWARDED | default/main/shop/web, task shop-web-1 at 10.1.0.11 (shop/default) | it is not below berth: the resolvers of this machine are asked",
      "FORWARDED | this machine itself (shop/default blog/default) | short names mean something inside a stack only: ask with --from, or for the full name",
      "NOERROR | tasks.web.shop.main.default.berth 1 A 10.1.0.11 | this machine itself (shop/default blog/default) | the copies of a service on network shop/default: web.shop.main.default.berth; 1 of 1 attached copies are ready",
      "NOERROR | _http._tcp.web 1 SRV 80 web.shop.main.default.berth | default/main/shop/db, task shop-db-1 at 10.1.0.21 (shop/default) | a service (or its alias) on network shop/default: web.shop.main.default.berth; it has an address of its own, behind which 1 of 1 attached copies are ready",
    ],
  );
});

test("a question that cannot be put says why", () => {
  assert.match(asked({ from: "web" }), /web is each of .*shop\/web, .*blog\/web: name one/);
  assert.match(asked({ from: "nobody" }), /no task of this node's networks is nobody/);
  assert.match(asked({ name: "a..b" }), /"a\.\.b" is no name/);
});
