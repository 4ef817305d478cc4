/** Which image a deployment gets, by pull policy, against a registry whose tag moves. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ManualClock, Prng } from "@berth/base";
import { type ImageWish, ProtocolError } from "@berth/protocol";
import { FakeRuntime } from "../runtime/fake.ts";
import { FakeHost } from "../runtime/fake-host.ts";
import { FakeRegistry } from "../runtime/fake-registry.ts";
import type { RegistryLookUp } from "../state/agent-state.ts";
import { Slots } from "../task/slots.ts";
import { resolveImages } from "./resolve-images.ts";

const REFERENCE = "registry.local/app:1";
const DAY_MS = 86_400_000;

function subject() {
  const clock = new ManualClock();
  const registry = new FakeRegistry();
  const host = new FakeHost({ clock, prng: new Prng(7), latencyMs: () => 0, registry });
  const runtime = new FakeRuntime(host);
  const lookUps = new Map<string, RegistryLookUp>();
  const resolver = {
    runtime,
    cluster: () => "c",
    credentials: { authFor: async () => undefined, allOf: async () => [] },
    resolves: new Slots(1),
    builds: new Slots(1),
    fetchContext: () => Promise.reject(new Error("nothing is built here")),
    builtBefore: () => undefined,
    noteBuilt: async () => {},
    lookUps: {
      lookUpOf: (reference: string) => lookUps.get(reference),
      noteLookUp: async (reference: string, lookUp: RegistryLookUp) => {
        lookUps.set(reference, lookUp);
      },
    },
    clock,
    refusesBuilds: () => false,
  };
  const settle = async <T>(promise: Promise<T>): Promise<T> => {
    let settled = false;
    const mark = () => {
      settled = true;
    };
    promise.then(mark, mark);
    while (!settled) {
      await new Promise<void>((resolve) => setImmediate(resolve));
      if (!settled) clock.fireNext();
    }
    return promise;
  };
  /** What a deployment would run; it is pulled, as its tasks do. */
  const deploy = async (wish: Partial<ImageWish>): Promise<string | undefined> => {
    const wishes = [{ reference: REFERENCE, policy: "missing" as const, services: ["a"], ...wish }];
    const signal = new AbortController().signal;
    const images = await settle(
      resolveImages(resolver, { project: "default", wishes }, () => {}, signal),
    );
    const image = images[REFERENCE];
    assert.ok(image !== undefined);
    await settle(runtime.ensureImage(image, { signal }));
    return image.repoDigest;
  };
  return { clock, registry, deploy };
}

test("a registry is asked as seldom as the file says", async () => {
  const { clock, registry, deploy } = subject();
  const digest = (content: string) => {
    const { manifestDigest } = registry.put({ reference: REFERENCE, content });
    return `registry.local/app@${manifestDigest}`;
  };
  const daily = { pullEveryMs: DAY_MS };
  const first = digest("first");
  assert.equal(await deploy(daily), first);
  const second = digest("second");
  assert.equal(await deploy(daily), first, "the same day");
  registry.down = true;
  assert.equal(await deploy(daily), first, "the same day, without the registry");
  registry.down = false;
  clock.advance(DAY_MS + 1);
  assert.equal(await deploy(daily), second, "a day later");
  const third = digest("third");
  assert.equal(await deploy({ policy: "always" }), third, "always");
  assert.equal(await deploy(daily), third, "always has asked for it, too");
});

test("what may never be pulled has to be there", async () => {
  const { registry, deploy } = subject();
  registry.put({ reference: REFERENCE });
  await assert.rejects(
    deploy({ policy: "never" }),
    (error) => error instanceof ProtocolError && error.code === "image_unavailable",
  );
});
