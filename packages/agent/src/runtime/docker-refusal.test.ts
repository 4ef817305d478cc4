import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { refusal, registryRefusal } from "./docker-refusal.ts";

/** Words of engines 20.10 to 28, as they were seen. */
const ENGINE_WORDS = [
  [404, "No such container: abc", "not_found", undefined],
  [404, "No such image: sha256:1", "image_unavailable", "not_local"],
  [404, "network berth-c-1 not found", "not_found", undefined],
  [409, "Container abc is not running", "conflict", undefined],
  [
    500,
    "driver failed programming external connectivity on endpoint x: Bind for 0.0.0.0:80 failed: port is already allocated",
    "claim_taken",
    undefined,
  ],
  [403, "Pool overlaps with other one on this address space", "claim_taken", undefined],
  [500, "Address already in use", "claim_taken", undefined],
  [403, "error while removing network: network x has active endpoints", "still_in_use", undefined],
  [409, "remove v1: volume is in use - [abc]", "still_in_use", undefined],
  [
    409,
    "conflict: unable to delete 1 (cannot be forced) - image is being used by running container 2",
    "still_in_use",
    undefined,
  ],
  [500, "write /var/lib/docker/x: no space left on device", "storage_full", undefined],
  [
    400,
    'OCI runtime create failed: exec: "/x": stat /x: no such file or directory: unknown',
    "engine_error",
    undefined,
  ],
] as const;

const REGISTRY_WORDS = [
  ["unauthorized: authentication required", "unauthorized"],
  ["Get https://r/v2/: no basic auth credentials", "unauthorized"],
  ["pull access denied for x, repository does not exist or may require 'docker login'", "denied"],
  ["manifest unknown: manifest unknown", "not_found"],
  ["no matching manifest for linux/arm64 in the manifest list entries", "platform"],
  ["toomanyrequests: You have reached your pull rate limit", "rate_limited"],
  ["dial tcp: lookup r on 127.0.0.1:53: no such host", "unreachable"],
  ["dial tcp 127.0.0.1:1: connect: connection refused", "unreachable"],
  ["x509: certificate signed by unknown authority", "unreachable"],
  ["something new", "failed"],
] as const;

describe("the engine's words", () => {
  for (const [status, words, code, reason] of ENGINE_WORDS) {
    it(`${words.slice(0, 60)} → ${code}`, () => {
      const error = refusal("do it", status, words);
      assert.deepEqual([error.code, error.details["reason"]], [code, reason]);
      assert.deepEqual([error.details["words"], error.details["status"]], [words, status]);
      assert.equal(error.message, `do it: ${words}`);
    });
  }
});

describe("a registry's words", () => {
  for (const [words, reason] of REGISTRY_WORDS) {
    it(`${words.slice(0, 60)} → ${reason}`, () => {
      const error = registryRefusal("app:1", words);
      assert.deepEqual([error.code, error.details["reason"]], ["image_unavailable", reason]);
    });
  }

  it("of a full disk are no image's fault", () => {
    assert.equal(registryRefusal("app:1", "no space left on device").code, "storage_full");
  });
});
