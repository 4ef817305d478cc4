/** The template hash: what needs a new container changes it, what does not leaves it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServiceSpec } from "@berth/protocol";
import { EXCLUSIVE_VOLUME, NETWORK, serviceSpec, writes } from "../testing/specs.ts";
import { type TemplateContext, templateOf } from "./template.ts";

const CONTEXT: TemplateContext = {
  networks: { default: NETWORK },
  volumes: { data: EXCLUSIVE_VOLUME },
  configs: { app: { digest: "sha256:1" } },
  secrets: { key: { version: "1" } },
};
const FILE = { name: "app", target: "/app", uid: 0, gid: 0, mode: 0o444 };
const BASE = serviceSpec({
  mounts: writes("data"),
  configs: [FILE],
  secrets: [{ ...FILE, name: "key" }],
  environment: { A: "1", B: "2" },
});
const IMAGE = { reference: "web:1", imageId: `sha256:${"a".repeat(64)}` };

function hash(spec: ServiceSpec, context: Partial<TemplateContext> = {}, image = IMAGE): string {
  return templateOf(spec, image, { ...CONTEXT, ...context });
}

test("these changes need a new container", () => {
  const changed: readonly string[] = [
    hash({ ...BASE, environment: { A: "1", B: "3" } }),
    hash({ ...BASE, command: ["run"] }),
    hash({ ...BASE, limits: { memoryBytes: 1 } }),
    hash({ ...BASE, constraints: ["node.labels.zone==a"] }),
    hash(BASE, { configs: { app: { digest: "sha256:2" } } }),
    hash(BASE, { secrets: { key: { version: "2" } } }),
    hash(BASE, { volumes: { data: { ...EXCLUSIVE_VOLUME, mode: "shared" } } }),
    hash(BASE, {}, { ...IMAGE, imageId: `sha256:${"b".repeat(64)}` }),
  ];
  assert.equal(new Set([hash(BASE), ...changed]).size, changed.length + 1);
});

test("these changes do not", () => {
  const update = { ...BASE.update, parallelism: 5 };
  const same: readonly ServiceSpec[] = [
    { ...BASE, copies: 7 },
    { ...BASE, update },
    { ...BASE, routes: [{ host: "a", path: "/", port: 80 }] },
    { ...BASE, stopGraceMs: 1, drainMs: 1 },
    { ...BASE, dependsOn: { db: { condition: "healthy", required: true } } },
    { ...BASE, environment: { B: "2", A: "1" } },
  ];
  for (const spec of same) assert.equal(hash(spec), hash(BASE));
  assert.equal(hash(BASE, {}, { ...IMAGE, reference: "web:renamed" }), hash(BASE));
  const others = { configs: { ...CONTEXT.configs, other: { digest: "sha256:9" } } };
  assert.equal(hash(BASE, others), hash(BASE));
});
