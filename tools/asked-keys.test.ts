/**
 * Some keys no machine here can show in a container: quotas, weights, devices of drivers. Their checks accept the engine's
 * refusal; this holds each of them to what the engine is asked for, from the very stack that the end-to-end test deploys.
 */

import assert from "node:assert/strict";
import { test } from "node:test";
import { KEY_STACKS } from "../e2e/keys/proofs.ts";
import type { KeyAsk } from "../e2e/keys/scene.ts";
import { createCall } from "../packages/agent/src/runtime/docker-create.ts";
import { compileSample } from "../packages/compose/src/stack/compile-sample.ts";

const API_VERSION = "1.41";

/** The HostConfig of the create call of a service, as it goes over the wire. */
function hostConfigOf(compose: string, service: string): Readonly<Record<string, unknown>> {
  const spec = compileSample(compose).spec.services[service];
  assert.ok(spec !== undefined, service);
  const { engine } = spec;
  const { body } = createCall(
    {
      name: service,
      labels: {},
      imageId: "sha256:1",
      environment: {},
      engine,
      limits: {},
      mounts: [],
      network: { kind: "none" },
      stopGraceMs: 1_000,
    },
    API_VERSION,
    { entrypoint: [] },
  );
  return JSON.parse(JSON.stringify(body["HostConfig"]));
}

const asked = KEY_STACKS.flatMap(({ compose, checks }) =>
  checks.flatMap(({ keys, asks }): { compose: string; keys: readonly string[]; asks: KeyAsk }[] =>
    asks === undefined ? [] : [{ compose, keys, asks }],
  ),
);

for (const { compose, keys, asks } of asked) {
  test(`the engine is asked for ${keys.join(", ")}`, () => {
    const host = hostConfigOf(compose, asks.service);
    for (const [option, value] of Object.entries(asks.host)) {
      assert.deepEqual(host[option], value, option);
    }
  });
}

test("there are checks that may be refused", () => {
  assert.ok(asked.length >= 6, String(asked.length));
});
