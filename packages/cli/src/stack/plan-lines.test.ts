/** A plan in words. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServicePlan } from "@berth/protocol";
import { planLines } from "./plan-lines.ts";

const SERVICE: ServicePlan = {
  service: "api",
  action: "replace",
  copies: 2,
  copiesNow: 1,
  order: "start-first",
  changes: [],
  placements: [],
};
const SCOPE = { project: "default", environment: "main", stack: "shop" };

test("every part of a plan has its line", () => {
  const services: ServicePlan[] = [
    {
      ...SERVICE,
      note: "without interruption",
      changes: [
        { field: "image", change: "changed", from: "a", to: "b" },
        { field: "environment.X", change: "added" },
      ],
      placements: [
        { slot: 1, node: "n2", fromNode: "n1", reasons: ["tightest fit"] },
        { slot: 2, node: "n1", reasons: [] },
        { slot: 3, reasons: [], refusal: "0 of 2 nodes fit" },
      ],
    },
    { ...SERVICE, service: "db", action: "none" },
    { ...SERVICE, service: "new", action: "create" },
    { ...SERVICE, service: "more", action: "scale" },
    { ...SERVICE, service: "old", action: "remove" },
  ];
  const plan = {
    release: 5,
    current: 4,
    services,
    networks: { create: ["a"], remove: ["b"] },
    volumes: { create: ["c"], keep: ["d"] },
    warnings: ["careful"],
  };
  assert.deepEqual(planLines(SCOPE, plan), [
    "shop → default/main   would make release 5 (now 4)",
    "  warning careful",
    "  api   replace 2, start-first",
    "      without interruption",
    "      image changed   a → b",
    "      environment.X added",
    "      api-1  n1 → n2   tightest fit",
    "      api-2  n1",
    "      api-3  nowhere   0 of 2 nodes fit",
    "  db   no change",
    "  new   create 2",
    "  more   scale 1 → 2",
    "  old   remove 1",
    "  network a   would be made",
    "  network b   would be removed",
    "  volume c   would be made",
    "  volume d   is kept",
    "nothing was changed. Run without --plan to deploy.",
  ]);
});
