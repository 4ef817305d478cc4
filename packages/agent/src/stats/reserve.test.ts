import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { reserveOf } from "./reserve.ts";

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

describe("the reserve of a machine", () => {
  const cases = [
    {
      name: "leaves three quarters of the memory of a small one",
      machine: { cpuMillis: 1_000, memoryBytes: GIB, diskBytes: 10 * GIB },
      reserve: { cpuMillis: 100, memoryBytes: 256 * MIB, diskBytes: 2 * GIB },
    },
    {
      name: "is the fixed part and a share of a middling one",
      machine: { cpuMillis: 4_000, memoryBytes: 100 * GIB, diskBytes: 100 * GIB },
      reserve: {
        cpuMillis: 180,
        memoryBytes: Math.ceil(3.5 * GIB),
        diskBytes: 11 * GIB,
      },
    },
    {
      name: "is nothing of nothing",
      machine: { cpuMillis: 0, memoryBytes: 0, diskBytes: 0 },
      reserve: { cpuMillis: 0, memoryBytes: 0, diskBytes: 0 },
    },
  ];
  for (const { name, machine, reserve } of cases) {
    it(name, () => assert.deepEqual(reserveOf(machine), reserve));
  }
});
