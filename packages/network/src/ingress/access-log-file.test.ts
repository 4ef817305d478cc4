/** The access log is put aside without losing lines, and read by service, from its end, as it grows. */

import assert from "node:assert/strict";
import {
  appendFileSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { type TestContext, test } from "node:test";
import { systemClock } from "@berth/base";
import { type AccessLogRequest, readAccessLog, rotateAccessLog } from "./access-log-file.ts";

function logFile(t: TestContext): string {
  const folder = mkdtempSync(`${tmpdir()}/blog-`);
  t.after(() => rmSync(folder, { recursive: true }));
  return `${folder}/access.log`;
}

function line(number: number, service = "default/main/shop/web"): string {
  return `{"number":${number},"service":"${service}"}\n`;
}

async function numbers(path: string, request: AccessLogRequest, count = Number.POSITIVE_INFINITY) {
  const end = new AbortController();
  const read: unknown[] = [];
  const lines = readAccessLog(path, request, { clock: systemClock, signal: end.signal });
  for await (const text of lines) {
    read.push((JSON.parse(text) as { number: unknown }).number);
    if (read.length >= count) break;
  }
  return read;
}

test("files over the limit move up, the oldest goes", async (t) => {
  const path = logFile(t);
  const limits = { enabled: true, maxBytes: 60, files: 2 };
  for (let number = 0; number < 10; number++) {
    appendFileSync(path, line(number));
    assert.equal(rotateAccessLog(path, limits), number % 2 === 1);
  }
  assert.deepEqual(readdirSync(path.replace("/access.log", "")).sort(), [
    "access.log",
    "access.log.1",
    "access.log.2",
  ]);
  assert.equal(readFileSync(`${path}.1`, "utf8"), line(8) + line(9));
  assert.deepEqual(await numbers(path, { service: "default/main/", follow: false }), [6, 7, 8, 9]);
});

test("lines of a service, of a stack, of an environment; remarks of HAProxy are nobody's", async (t) => {
  const path = logFile(t);
  const services = ["shop/web", "shop/web-api", "shop/api", "shopping/web"];
  const lines = services.map((service, index) => line(index, `default/main/${service}`));
  writeFileSync(
    path,
    `Proxy x stopped.\n${lines.join("")}{"number":9}\n${line(7, "default/test/shop/web")}`,
  );
  const of = (service: string) => numbers(path, { service, follow: false });
  assert.deepEqual(await of("default/main/shop/web"), [0]);
  assert.deepEqual(await of("default/main/shop/"), [0, 1, 2]);
  assert.deepEqual(await of("default/main/"), [0, 1, 2, 3]);
});

test("the last lines, then what comes, also after the file was put aside", async (t) => {
  const path = logFile(t);
  writeFileSync(path, [1, 2, 3].map((number) => line(number)).join(""));
  const following = numbers(path, { service: "default/main/", tail: 2, follow: true }, 4);
  // Half a line is no line yet.
  appendFileSync(path, line(4).slice(0, 10));
  appendFileSync(path, line(4).slice(10));
  rotateAccessLog(path, { enabled: true, maxBytes: 1_000, files: 1 });
  appendFileSync(path, line(5));
  assert.deepEqual((await following).slice(-2), [4, 5]);
});

test("HAProxy's short lines are read as JSON, beside those of before", async (t) => {
  const path = logFile(t);
  const short = (service: string) =>
    `H 1795730037654 ${service} http:r web-1:10.1.0.2:80 ::1 GET HTTP/1.1 - 200 1 2 0 0 0 0 0 0 ---- / h\n`;
  writeFileSync(
    path,
    `${line(1)}${short("default/main/shop/web")}${short("default/main/other/web")}`,
  );
  const signal = new AbortController().signal;
  const read: unknown[] = [];
  const request = { service: "default/main/shop/", follow: false };
  for await (const text of readAccessLog(path, request, { clock: systemClock, signal })) {
    read.push(JSON.parse(text));
  }
  assert.equal(read.length, 2);
  const { service, status } = read[1] as Record<string, unknown>;
  assert.deepEqual([service, status], ["default/main/shop/web", 200]);
});
