/** HAProxy's configuration for models worth reading; e2e/golden.e2e.test.ts has `haproxy -c` read them. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { assertGolden } from "../testing/dialogue.ts";
import { modelOf } from "../testing/model-text.ts";
import { connectionsMaxFor, renderConfig } from "./config.ts";
import { planIngress } from "./plan.ts";

const FOLDER = new URL("testdata/", import.meta.url);
const SETTINGS = {
  statsSocketPath: "/run/berth/worker.sock",
  connectionsMax: 9_750,
  user: { name: "haproxy", group: "haproxy" },
};

for (const file of readdirSync(FOLDER).filter((name) => name.endsWith(".model"))) {
  test(`configuration of ${file}`, () => {
    const plan = planIngress(modelOf(readFileSync(new URL(file, FOLDER), "utf8")));
    const problems = plan.problems.map((problem) => `# problem: ${JSON.stringify(problem)}\n`);
    const golden = new URL(file.replace(".model", ".cfg"), FOLDER);
    assertGolden(golden, problems.join("") + renderConfig(plan, SETTINGS).text);
  });
}

test("copies do not change the skeleton, routes and ports do", () => {
  const lines = ["network n1 s 10.1.0.0/24", "service s/web n1", "route r1 a.test / s/web n1 80"];
  const skeleton = (...more: string[]) =>
    renderConfig(planIngress(modelOf([...lines, ...more].join("\n"))), SETTINGS).skeleton;
  assert.equal(skeleton(), skeleton("endpoint s/web 1 n1 10.1.0.11"));
  assert.notEqual(skeleton(), skeleton("route r2 b.test / s/web n1 80"));
  assert.notEqual(skeleton(), skeleton("port p1 0.0.0.0 81 s/web n1 80"));
});

test("connections follow the file limit, a wish may lower them", () => {
  assert.equal(connectionsMaxFor(20_000), 9_750);
  assert.equal(connectionsMaxFor(20_000, 2_000), 2_000);
  assert.equal(connectionsMaxFor(20_000, 50_000), 9_750);
  assert.equal(connectionsMaxFor(256), 100);
  assert.equal(connectionsMaxFor(4_000_000), 100_000);
});
