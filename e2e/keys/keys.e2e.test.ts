/**
 * Every honoured key of the stack file, found in force in the real thing: few deployments with many keys each.
 * Which key is proven by which check is data (`proofs.ts`), and `tools/key-proofs.test.ts` says which has none.
 */

import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { docker } from "../engine.ts";
import { TestPlatform } from "../test-platform.ts";
import { KEY_STACKS } from "./proofs.ts";
import { Scene } from "./scene.ts";
import { prepareStorage, removeStorage } from "./storage-stack.ts";

let platform: TestPlatform;

before(async () => {
  platform = await TestPlatform.start();
  // Everything is denied at first; the project gets what its stacks ask for, and no flag of the start.
  const powers = ["privileged", "host-mounts", "devices", "host-namespaces"];
  const allow = powers.flatMap((power) => ["--allow", power]);
  await platform.must("project", "policy", ...allow);
  await platform.must("image", "base", "berth/busybox", "--busybox-only");
  await platform.must(
    "node",
    "set",
    "node-1",
    "--label",
    "zone=a",
    "--resource",
    "gpu=3",
    "--resource",
    "license=4",
  );
  prepareStorage();
});

after(async () => {
  await platform.uninstall();
  removeStorage();
  const made = docker("image", "ls", "--format", "{{.Repository}}:{{.Tag}}", "berth-keys/*");
  // None when only some of the stacks were asked for by name.
  for (const image of made.split("\n")) if (image !== "") docker("image", "rm", image);
});

for (const stack of KEY_STACKS) {
  describe(`stack ${stack.name}`, () => {
    let scene: Scene;

    before(async () => {
      scene = new Scene(platform, stack.name);
      const files = { "compose.yaml": stack.compose, ...stack.files };
      const folder = platform.project(stack.name, files);
      await stack.prepare?.(platform, folder);
      const words = ["deploy", "-f", join(folder, "compose.yaml"), "--stack", stack.name];
      const { code, stdout, stderr } = await platform.berthWith(
        { environment: stack.environment ?? {} },
        ...words,
        ...(stack.words ?? []),
      );
      assert.equal(code, 0, stdout + stderr);
    });

    for (const check of stack.checks) {
      test(`${check.keys.join(", ")}: ${check.says}`, () => check.look(scene));
    }
  });
}
