/** Which certificate serves a route, and which ones exist because of routes. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { DAY_MS } from "@berth/base";
import { type AcmeSettings, type Certificate, type EnvironmentScope, keys } from "@berth/protocol";
import { releaseRow, SCOPE, serviceSpec, stackRow, taskRow } from "../api/api-fixture.ts";
import { ClusterTables } from "../state/cluster-tables.ts";
import { automaticChanges, isForAcme } from "./automatic.ts";
import { CLUSTER, chosenCertificate } from "./choose.ts";
import { needsOfNode } from "./node-needs.ts";

const ENV = { project: "default", environment: "main" };
const NOW = Date.UTC(2026, 0, 1);

interface World {
  readonly tables: ClusterTables;
  put(scope: EnvironmentScope, name: string, changes?: Partial<Certificate>): void;
}

/** A stack whose service has routes with TLS for these hosts, and a task on `node-1`. */
function world(hosts: readonly string[], paths: readonly string[] = []): World {
  const tables = new ClusterTables();
  const routes = hosts.map((host, index) => ({
    host,
    path: paths[index] ?? "/",
    port: 80,
    tls: "both" as const,
  }));
  const image = { reference: "busybox:1", imageId: `sha256:${"a".repeat(64)}` };
  const services = { web: { spec: serviceSpec({ routes }), image, template: "t1" } };
  const set = (kind: Parameters<ClusterTables["table"]>[0], key: string, value: object) =>
    tables.table(kind).set({ key, revision: 1, value: value as never });
  set("stack", keys.stack(SCOPE), stackRow());
  set("release", keys.release(SCOPE, 1), releaseRow({ services }));
  set("task", keys.task(SCOPE, "task01"), taskRow("task01"));
  return {
    tables,
    put: (scope, name, changes = {}) =>
      set("certificate", keys.certificate(scope, name), {
        ...scope,
        name,
        hosts: [name],
        source: "file",
        automatic: false,
        createdAt: NOW,
        state: "valid",
        failuresInRow: 0,
        ...changes,
      }),
  };
}

function acme(changes: Partial<AcmeSettings> = {}): AcmeSettings {
  const directory = "https://acme.test/dir";
  return {
    ...ENV,
    directory,
    emails: [],
    challenge: "http-01",
    thumbprint: "t",
    setAt: 1,
    ...changes,
  };
}

function setAcme(tables: ClusterTables, scope: EnvironmentScope, settings: AcmeSettings): void {
  tables.table("acme").set({ key: keys.acme(scope), revision: 1, value: settings });
}

/** `create shop.test acme` */
function changes(tables: ClusterTables, now = NOW): string[] {
  return automaticChanges(tables, now)
    .filter(({ value }) => value.name !== "default")
    .map(({ kind, value }) => `${kind} ${value.name} ${value.source}`);
}

test("a certificate for exactly the host comes before a wildcard, the environment's before the cluster's", () => {
  const { tables, put } = world(["a.shop.test"]);
  const chosen = () => chosenCertificate(tables, ENV, "a.shop.test")?.key;
  assert.equal(chosen(), undefined);
  put(ENV, "a.shop.test", { automatic: true });
  assert.equal(chosen(), keys.certificate(ENV, "a.shop.test"), "the automatic one");
  put(CLUSTER, "wild", { hosts: ["*.shop.test"] });
  assert.equal(chosen(), keys.certificate(CLUSTER, "wild"), "a person's wildcard comes before it");
  put(ENV, "wild", { hosts: ["*.shop.test"] });
  assert.equal(chosen(), keys.certificate(ENV, "wild"));
  put(CLUSTER, "exact", { hosts: ["a.shop.test"] });
  assert.equal(chosen(), keys.certificate(CLUSTER, "exact"));
  put(ENV, "exact", { hosts: ["b.test", "a.shop.test"] });
  assert.equal(chosen(), keys.certificate(ENV, "exact"));
  put({ project: "default", environment: "prod" }, "other", { hosts: ["a.shop.test"] });
  assert.equal(chosen(), keys.certificate(ENV, "exact"), "another environment's is never used");
});

test("a route without a certificate gets one, by the authority or by ACME where that is set", () => {
  const { tables } = world(["shop.test", "shop.localhost", "*.wild.test", "*"]);
  assert.deepEqual(changes(tables), [
    "create shop.test cluster-ca",
    "create shop.localhost cluster-ca",
    "create *.wild.test cluster-ca",
  ]);
  setAcme(tables, CLUSTER, acme({ ...CLUSTER }));
  assert.deepEqual(changes(tables), [
    "create shop.test acme",
    "create shop.localhost cluster-ca",
    "create *.wild.test cluster-ca",
  ]);
  setAcme(tables, ENV, acme({ challenge: "dns-01", only: ["*.wild.test"] }));
  assert.deepEqual(changes(tables), [
    "create shop.test cluster-ca",
    "create shop.localhost cluster-ca",
    "create *.wild.test acme",
  ]);
});

test("nothing is ordered at an ACME server that was not set", () => {
  assert.equal(isForAcme(undefined, "shop.test"), false);
  assert.equal(isForAcme(acme(), "shop.localhost"), false);
  assert.equal(isForAcme(acme({ only: ["a.test"] }), "b.test"), false);
});

test("each host of a route with several has a certificate of its own", () => {
  const { tables } = world(["a.test"]);
  const [stack] = tables.stacks.all();
  assert.ok(stack);
  const image = { reference: "busybox:1", imageId: `sha256:${"a".repeat(64)}` };
  const route = { host: "a.test", moreHosts: ["b.test"], path: "/", port: 80, tls: "required" };
  const spec = serviceSpec({ routes: [route as never] });
  const services = { web: { spec, image, template: "t1" } };
  tables.table("release").set({
    key: keys.release(SCOPE, 1),
    revision: 2,
    value: releaseRow({ services }),
  });
  assert.deepEqual(changes(tables), ["create a.test cluster-ca", "create b.test cluster-ca"]);
});

test("a person's certificate takes the place of the automatic one, which goes", () => {
  const { tables, put } = world(["shop.test"]);
  put(ENV, "shop.test", { automatic: true, source: "cluster-ca" });
  assert.deepEqual(changes(tables), []);
  put(ENV, "mine", { hosts: ["*.test"] });
  assert.deepEqual(changes(tables), ["remove shop.test cluster-ca"]);
});

test("one from ACME is kept for a week when no route needs it, and taken up again", () => {
  const facts = { source: "acme", notAfter: NOW + 90 * DAY_MS, hosts: ["gone.test"] } as never;
  const gone = world([]);
  const old = { hosts: ["gone.test"], automatic: true, source: "acme", current: facts } as const;
  gone.put(ENV, "gone.test", old);
  const [change] = automaticChanges(gone.tables, NOW);
  assert.equal(change?.value.unneededSince, NOW);
  gone.put(ENV, "gone.test", { ...old, unneededSince: NOW });
  assert.deepEqual(changes(gone.tables, NOW + 6 * DAY_MS), []);
  assert.deepEqual(changes(gone.tables, NOW + 7 * DAY_MS), ["remove gone.test acme"]);
  const back = world(["gone.test"]);
  setAcme(back.tables, ENV, acme());
  back.put(ENV, "gone.test", { ...old, unneededSince: NOW });
  const [again] = automaticChanges(back.tables, NOW).filter(
    ({ value }) => value.name !== "default",
  );
  assert.equal(again?.kind, "update");
  assert.equal(again?.value.unneededSince, undefined);
});

test("a person's certificate under the host's name, for other hosts, is left alone", () => {
  const { tables, put } = world(["shop.test"]);
  put(ENV, "shop.test", { hosts: ["other.test"] });
  assert.deepEqual(changes(tables), ["create shop.test-auto cluster-ca"]);
});

test("clients that name no host get one for nobody, unless a person brought one", () => {
  const { tables, put } = world(["shop.test"]);
  const wanted = () => automaticChanges(tables, NOW).find(({ value }) => value.name === "default");
  assert.deepEqual(wanted()?.value.hosts, ["default.invalid"]);
  put(CLUSTER, "default", { hosts: ["front.test"] });
  assert.equal(wanted(), undefined);
  assert.equal(automaticChanges(world([]).tables, NOW).length, 0, "none without routes");
});

test("a node needs the certificates of the routes of its tasks, by host, and the default", () => {
  const { tables, put } = world(["a.test", "b.test", "c.test"]);
  put(ENV, "ab", { hosts: ["a.test", "b.test"] });
  put(ENV, "unused", { hosts: ["x.test"] });
  put(CLUSTER, "default", { hosts: ["front.test"] });
  const needs = needsOfNode(tables, "node-1").map(({ certificate, hosts, isDefault }) => [
    certificate.value.name,
    hosts.join(" "),
    isDefault,
  ]);
  assert.deepEqual(needs.sort(), [
    ["ab", "a.test b.test", false],
    ["default", "", true],
  ]);
  assert.deepEqual(needsOfNode(tables, "node-2"), [], "and others nothing");
});

test("of environments that share a host by paths, the one with the host's root decides", () => {
  const { tables, put } = world(["shop.test", "shop.test"], ["/api", "/"]);
  const prod = { project: "default", environment: "prod" };
  const scope = { ...prod, stack: "shop" };
  const image = { reference: "busybox:1", imageId: `sha256:${"a".repeat(64)}` };
  const routes = [{ host: "shop.test", path: "/deep/path", port: 80, tls: "both" as const }];
  const services = { web: { spec: serviceSpec({ routes }), image, template: "t1" } };
  const set = (kind: Parameters<ClusterTables["table"]>[0], key: string, value: object) =>
    tables.table(kind).set({ key, revision: 1, value: value as never });
  set("stack", keys.stack(scope), stackRow(scope));
  set("release", keys.release(scope, 1), releaseRow({ ...scope, services }));
  set("task", keys.task(scope, "task02"), taskRow("task02", scope));
  put(ENV, "root", { hosts: ["shop.test"] });
  put(prod, "deep", { hosts: ["shop.test"] });
  const names = needsOfNode(tables, "node-1").map(({ certificate }) => certificate.value.name);
  assert.deepEqual(names, ["root"]);
});
