/**
 * Differences against the whole: after a chain of random models, each sent as its difference to the one
 * before, the kernel lists exactly what it lists after the last model's whole table.
 */

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { test } from "node:test";
import fc from "fast-check";
import { spreadFrame, spreadState } from "../src/addresses/spread.ts";
import { type TableState, tableChanges, wholeTable } from "../src/addresses/table-state.ts";
import { modelOf } from "../src/testing/model-text.ts";
import { inNamespace } from "./lab.ts";

const FRAME = spreadFrame("c1");
const RUNS = 25;

function nft(text: string): void {
  execFileSync("nft", ["-f", "-"], { input: text, stdio: ["pipe", "ignore", "pipe"] });
}

/** As the kernel lists it, without regard to the order in which chains came to be. */
function listing(): readonly string[] {
  const text = execFileSync("nft", ["-s", "list", "table", "inet", FRAME.table], {
    encoding: "utf8",
  });
  // Elements come in the order of the kernel's hash: each is a line of its own here.
  const lines = (block: string) => block.replace(/[\s}]+$/, "").split(/,?\s*\n\s*|, /);
  return text
    .split(/\n(?=\t(?:chain|set|map))/)
    .map((block) =>
      lines(block.trim().replaceAll(/elements = \{ | \}$/gm, ""))
        .toSorted()
        .join("\n"),
    )
    .sort();
}

const service = fc.record({
  copies: fc.uniqueArray(fc.integer({ min: 2, max: 20 }), { maxLength: 4 }),
  sticky: fc.boolean(),
  declared: fc.boolean(),
  udp: fc.boolean(),
});
const model = fc.tuple(service, service, service).map((services) =>
  stateOf(
    services.flatMap(({ copies, sticky, declared, udp }, index) => {
      if (!declared) return [];
      const name = `s/w${index}`;
      return [
        `service ${name} n1 vip=10.9.0.${index + 1}${sticky ? " sticky=60" : ""}`,
        ...copies.map((host, slot) => `endpoint ${name} ${slot + 1} n1 10.1.${index}.${host}`),
        ...(udp ? [`udp p${index} 0.0.0.0 ${5300 + index} ${name} n1 53`] : []),
      ];
    }),
  ),
);

function stateOf(lines: readonly string[]): TableState {
  return spreadState(
    modelOf(["network n1 s 10.1.0.0/16 services=10.9.0.0/24", ...lines].join("\n")),
  );
}

inNamespace(import.meta.url, () => {
  test("differences lead to what the whole table is", () => {
    fc.assert(
      fc.property(fc.array(model, { minLength: 2, maxLength: 5 }), (states) => {
        const [first, ...rest] = states;
        if (first === undefined) return;
        nft(wholeTable(FRAME, first));
        let before = first;
        for (const after of rest) {
          nft(tableChanges(FRAME, before, after));
          before = after;
        }
        const changed = listing();
        nft(wholeTable(FRAME, before));
        assert.deepEqual(changed, listing());
      }),
      { numRuns: RUNS },
    );
  });
});
