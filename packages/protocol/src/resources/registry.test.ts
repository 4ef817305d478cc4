import assert from "node:assert/strict";
import { test } from "node:test";
import { registryOf } from "./registry.ts";

test("a reference's registry is its first part where that is a host", () => {
  const references = [
    "busybox",
    "library/busybox:1",
    "shop/web@sha256:abc",
    "index.docker.io/library/busybox",
    "localhost/web",
    "localhost:5000/web:1",
    "Registry.Example.com/team/web",
    "10.0.0.5:5000/web",
  ];
  assert.deepEqual(references.map(registryOf), [
    "docker.io",
    "docker.io",
    "docker.io",
    "docker.io",
    "localhost",
    "localhost:5000",
    "registry.example.com",
    "10.0.0.5:5000",
  ]);
});
