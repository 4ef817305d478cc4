import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { Ajv2020 } from "ajv/dist/2020.js";
import { parse } from "yaml";
import { KUBERNETES, SWARM } from "./engine-support.ts";
import { referencePage, stackSchema } from "./reference.ts";
import { SERVICE_KEYS } from "./spec/service-codec.ts";
import { SUPPORT } from "./support.ts";

const folder = new URL("../../../docs/reference/", import.meta.url);
const rewrite = "run: node packages/compose/tools/write-reference.ts";

test("the reference page is what the code gives", () => {
  assert.equal(readFileSync(new URL("compose.md", folder), "utf8"), referencePage(), rewrite);
});

test("the JSON Schema is what the code gives", () => {
  const written: unknown = JSON.parse(readFileSync(new URL("compose.schema.json", folder), "utf8"));
  assert.deepEqual(written, JSON.parse(JSON.stringify(stackSchema())), rewrite);
});

test("the support table names keys that exist, once", () => {
  const keys = new Set(["version", ...SERVICE_KEYS]);
  for (const { pattern } of SUPPORT) {
    const [top, , key] = pattern.split(".");
    if (top === "services") assert.ok(key !== undefined && keys.has(key), pattern);
  }
  assert.equal(new Set(SUPPORT.map((entry) => entry.pattern)).size, SUPPORT.length);
});

test("every key of the specification's services is known", () => {
  assert.equal([...SERVICE_KEYS].filter((key) => !key.startsWith("x-")).length, 93);
});

/** Stack files beside the code, as plain values; tags and merge keys are the reader's business. */
function* examples(): Generator<readonly [string, unknown]> {
  const root = new URL("../../../examples/", import.meta.url);
  for (const path of readdirSync(root, { recursive: true, encoding: "utf8" })) {
    if (!/compose[^/]*\.ya?ml$/.test(path)) continue;
    yield [path, parse(readFileSync(new URL(path, root), "utf8"), { merge: true })];
  }
  const kitchen = new URL("../testdata/kitchen/compose.yaml", import.meta.url);
  yield ["kitchen", parse(readFileSync(kitchen, "utf8"), { merge: true, logLevel: "silent" })];
}

test("an editor's validator takes what loads, and names what does not", () => {
  const validate = new Ajv2020({ strict: false, validateFormats: false }).compile(stackSchema());
  for (const [path, value] of examples()) {
    assert.ok(validate(value), `${path}: ${JSON.stringify(validate.errors?.slice(0, 3))}`);
  }
  const web = (service: object) => ({ services: { web: { image: "x", ...service } } });
  for (const good of [
    { depends_on: ["db"], networks: ["a"], command: "x", env_file: ".env" },
    { depends_on: { db: { condition: "service_healthy" } }, networks: { a: null } },
    { "x-berth": { routes: [{ host: "a.example", port: 80 }] }, "x-other": 1 },
  ]) {
    assert.ok(validate(web(good)), JSON.stringify([good, validate.errors]));
  }
  for (const bad of [
    { enviroment: {} },
    { ports: "80:80" },
    { deploy: { replicas: [] } },
    { "x-berth": { route: [] } },
  ]) {
    assert.ok(!validate(web(bad)), JSON.stringify(bad));
  }
});

test("what other engines could honour is said of keys that there are, and that the own engine honours", () => {
  const honoured = new Set(
    [...SERVICE_KEYS].filter(
      (key) =>
        !SUPPORT.some(({ pattern, level }) => pattern === `services.*.${key}` && level === "not"),
    ),
  );
  for (const engine of [SWARM, KUBERNETES]) {
    assert.deepEqual(
      Object.keys(engine).filter((key) => !honoured.has(key)),
      [],
    );
  }
});
