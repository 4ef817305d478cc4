import assert from "node:assert/strict";
import { test } from "node:test";
import { resolvConf } from "./resolv-conf.ts";

test("the resolver file names our server alone, with one dot for absolute names", () => {
  assert.equal(
    resolvConf({ gateway: "10.1.0.1" }),
    "# Written by Berth; rewritten in place when the task's network changes.\n" +
      "nameserver 10.1.0.1\noptions ndots:1 timeout:1 attempts:5\n",
  );
});

test("options of the stack file win over ours, search domains are bounded", () => {
  const search = ["a", "b", "c", "d", "e", "f", "g"];
  const text = resolvConf({ gateway: "10.1.0.1", search, options: ["ndots:2", "rotate"] });
  assert.match(text, /^search a b c d e f$/m);
  assert.match(text, /^options timeout:1 attempts:5 ndots:2 rotate$/m);
});
