import assert from "node:assert/strict";
import { test } from "node:test";
import { contentChanges } from "./field-changes.ts";

const FILE = { target: "/x", uid: 0, gid: 0, mode: 0o444 };

test("other contents of configs and secrets are named, with versions of external ones, never told", () => {
  const config = (digest: string) => ({ digest: `sha256:${digest}`, sizeBytes: 1 });
  const external = (version: number) => ({ external: { name: "db_password", version } });
  const uses = {
    configs: ["app", "same"].map((name) => ({ ...FILE, name })),
    secrets: ["db", "own", "new"].map((name) => ({ ...FILE, name })),
  };
  const from = {
    configs: { app: config("a"), same: config("b"), unused: config("c") },
    secrets: { db: { version: "1", ...external(1) }, own: { version: "1" } },
  };
  const to = {
    configs: { app: config("d"), same: config("b"), unused: config("e") },
    secrets: { db: { version: "2", ...external(3) }, own: { version: "2" }, new: { version: "1" } },
  };
  assert.deepEqual(contentChanges(from, to, uses), [
    { field: "configs.app", change: "changed" },
    { field: "secrets.db", change: "changed", from: "db_password at 1", to: "db_password at 3" },
    { field: "secrets.own", change: "changed" },
  ]);
  assert.deepEqual(contentChanges(to, to, uses), []);
});
