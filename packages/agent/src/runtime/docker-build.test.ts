import assert from "node:assert/strict";
import { test } from "node:test";
import { failed } from "./docker-build.ts";

const END = {
  step: "3/5",
  lastLines: ["Step 3/5 : RUN --mount=type=secret,id=key cat /run/secrets/key"],
};

test("a Dockerfile that needs BuildKit fails with the way out, others with the engine's words alone", () => {
  const words =
    "the --mount option requires BuildKit. Refer to https://docs.docker.com/go/buildkit/ to learn how to build images with BuildKit enabled";
  const said = failed("shop/web", END, words);
  assert.equal(said.code, "build_failed");
  assert.match(said.message, /failed at step 3\/5: the --mount option requires BuildKit/);
  assert.match(said.message, /docker buildx build --push\) and give its name under image:$/);
  assert.match(failed("shop/web", END, "Unknown flag: link").message, /classic builder/);
  const other = failed("shop/web", END, "returned a non-zero code: 1");
  assert.doesNotMatch(other.message, /BuildKit/);
});
