/** HAProxy's configuration for models worth reading; e2e/golden.e2e.test.ts has `haproxy -c` read them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { assertGolden } from "../testing/dialogue.ts";
import {
  GOLDEN_FOLDER,
  GOLDEN_SETTINGS,
  goldenConfig,
  goldenNames,
} from "../testing/golden-config.ts";
import { modelOf } from "../testing/model-text.ts";
import { connectionsMaxFor, renderConfig } from "./config.ts";
import { inBothFamilies, parseBindName, planIngress } from "./plan.ts";

for (const name of goldenNames()) {
  test(`configuration of ${name}`, () => {
    const { plan, config } = goldenConfig(name);
    const problems = plan.problems.map((problem) => `# problem: ${JSON.stringify(problem)}\n`);
    const files = [...config.files]
      .filter(([path, text]) => !path.endsWith(".pem") && text !== "" && isLookedUp(path, config))
      .map(([path, text]) => `\n# ${path}\n${text.replace(/^/gm, "#   ").trimEnd()}\n`);
    const golden = new URL(`${name}.cfg`, GOLDEN_FOLDER);
    assertGolden(golden, problems.join("") + config.text + files.join("").replaceAll(/ +$/gm, ""));
  });
}

function isLookedUp(path: string, { text }: { readonly text: string }): boolean {
  return text.includes(path);
}

const LINES = ["network n1 s 10.1.0.0/24", "service s/web n1", "route r1 a.test / s/web n1 80"];

function rendered(...more: string[]) {
  return renderConfig(planIngress(modelOf([...LINES, ...more].join("\n"))), GOLDEN_SETTINGS);
}

test("copies and hosts do not change the skeleton, routes and ports do", () => {
  const { skeleton } = rendered();
  assert.equal(rendered("endpoint s/web 1 n1 10.1.0.11").skeleton, skeleton);
  assert.equal(rendered('wish r1 {"hosts":["b.test","c.test"]}').skeleton, skeleton);
  assert.notEqual(rendered("route r2 b.test / s/web n1 80").skeleton, skeleton);
  assert.notEqual(rendered('wish r1 {"compression":true}').skeleton, skeleton);
  assert.notEqual(rendered("port p1 0.0.0.0 81 s/web n1 80").skeleton, skeleton);
});

test("a port on all addresses is bound in both families where that can be had", () => {
  const plan = planIngress(modelOf([...LINES, "port p1 0.0.0.0 81 s/web n1 80"].join("\n")));
  const { text } = renderConfig(
    { ...plan, binds: plan.binds.map(inBothFamilies) },
    GOLDEN_SETTINGS,
  );
  assert.match(text, /^frontend tcp:any:81\n {2}bind 0\.0\.0\.0:81\n {2}bind :::81 v6only$/m);
  assert.deepEqual(
    ["tcp:any:81", "tcp:0.0.0.0:81", "https:127.0.0.1:443", "http:r1"].map(parseBindName),
    [
      { address: "0.0.0.0", port: 81, ipv6: true },
      { address: "0.0.0.0", port: 81, ipv6: false },
      { address: "127.0.0.1", port: 443, ipv6: false },
      undefined,
    ],
  );
});

test("each line of the text knows whose it is", () => {
  const { text, owners } = rendered(
    "route r2 b.test / s/web n1 80",
    "port p1 0.0.0.0 81 s/web n1 80",
  );
  const lines = text.trimEnd().split("\n");
  assert.equal(owners.length, lines.length + 1);
  const at = lines.indexOf("backend http:r2");
  assert.deepEqual([owners[at - 1], owners[at], owners[at + 1]], [[], ["r2"], ["r2"]]);
});

test("a route that is broken is left out, its ports and neighbours stay", () => {
  const model = modelOf([...LINES, "route r2 b.test / s/web n1 80"].join("\n"));
  const plan = planIngress(model, { broken: new Map([["r1", "no good"]]) });
  assert.deepEqual(
    plan.backends.map(({ name }) => name),
    ["http:r2"],
  );
  assert.deepEqual(plan.problems, [{ code: "route_invalid", id: "r1", detail: "no good" }]);
});

test("connections follow the file limit, a wish may lower them", () => {
  assert.equal(connectionsMaxFor(20_000), 9_750);
  assert.equal(connectionsMaxFor(20_000, 2_000), 2_000);
  assert.equal(connectionsMaxFor(20_000, 50_000), 9_750);
  assert.equal(connectionsMaxFor(256), 100);
  assert.equal(connectionsMaxFor(4_000_000), 100_000);
});
