/** HAProxy sends random requests where the slow matcher says, for random routes. Longer: fuzz/routes.ts. */

import assert from "node:assert/strict";
import { before, test } from "node:test";
import { Prng } from "@berth/base";
import { inNamespace } from "./lab.ts";
import {
  expectedAnswer,
  RawClient,
  randomPlainRoutes,
  randomRequest,
  randomRoutes,
} from "./route-oracle.ts";
import { routesLab } from "./routes-lab.ts";

/** Seeds that found something stay here: what they found is beside them. */
const SEEDS = [1, 2, 3, 4, 5, 6];
const ROUTES = 40;
const REQUESTS = 400;

inNamespace(import.meta.url, () => {
  const { net, apply } = routesLab();
  before(() => net.start());

  const cases = SEEDS.flatMap((seed) => [
    { seed, kind: "", random: randomRoutes, routesTaken: 10 },
    { seed, kind: "plain ", random: randomPlainRoutes, routesTaken: 5 },
  ]);
  for (const { seed, kind, random, routesTaken } of cases) {
    test(`seed ${seed}: every request takes its ${kind}route`, async (t) => {
      const prng = new Prng(seed);
      const routes = random(prng, ROUTES);
      const problems = await apply(routes);
      assert.deepEqual(
        problems.filter(({ code }) => code !== "route_clash"),
        [],
      );
      const client = new RawClient();
      t.after(() => client.close());
      const taken = new Set<string>();
      for (let index = 0; index < REQUESTS; index++) {
        const request = randomRequest(prng);
        const expected = expectedAnswer(routes, request);
        const answer = await client.ask(request);
        assert.equal(answer, expected, JSON.stringify(request));
        taken.add(answer);
      }
      assert.ok(taken.size > routesTaken, `only ${taken.size} routes were taken`);
    });
  }
});
