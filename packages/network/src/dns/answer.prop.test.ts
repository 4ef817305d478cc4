/** The prepared tables against a slow oracle that reads the model anew for every question. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseIpv4 } from "../ipv4.ts";
import { oracleAddresses, oracleView } from "../testing/dns-oracle.ts";
import { modelOf } from "../testing/model-text.ts";
import { answer } from "./answer.ts";
import { answerRecords } from "./encode.ts";
import { askerOf, buildTables } from "./tables.ts";
import { CLASS_IN, encodeName, TYPE } from "./wire.ts";

const STACKS = ["s1", "s2"];
const LABELS = ["web", "db", "web-1", "api"];
const NETWORKS = ["n1", "n2", "n3"];

const model = fc
  .record({
    services: fc.uniqueArray(
      fc.record({
        stack: fc.constantFrom(...STACKS),
        service: fc.constantFrom(...LABELS),
        networks: fc.uniqueArray(fc.constantFrom(...NETWORKS), { minLength: 1 }),
        alias: fc.option(fc.constantFrom("api", "www", "db")),
        vip: fc.boolean(),
        slots: fc.uniqueArray(fc.integer({ min: 1, max: 3 })),
        draining: fc.boolean(),
        hostname: fc.option(fc.constantFrom("alpha", "web")),
      }),
      { selector: (item) => `${item.stack}/${item.service}`, maxLength: 6 },
    ),
  })
  .map(({ services }) => {
    const lines = NETWORKS.map(
      (id, index) => `network ${id} s${(index % 2) + 1} 10.${index}.0.0/24`,
    );
    let host = 10;
    for (const [index, item] of services.entries()) {
      const name = `${item.stack}/${item.service}`;
      const alias = item.alias === null ? "" : `alias=${item.alias}`;
      const vip = item.vip ? `vip=10.99.0.${index}` : "";
      lines.push(`service ${name} ${item.networks.join(" ")} ${alias} ${vip}`);
      for (const slot of item.slots) {
        host++;
        for (const id of item.networks) {
          const address = `10.${NETWORKS.indexOf(id)}.0.${host}`;
          const state = item.draining && slot === 1 ? "draining" : "";
          const hostname = item.hostname === null ? "" : `hostname=${item.hostname}`;
          lines.push(`attachment ${name} ${slot} ${id} ${address}`);
          lines.push(`endpoint ${name} ${slot} ${id} ${address} ${state} ${hostname}`);
        }
      }
    }
    return modelOf(lines.join("\n"));
  });

const questions = [...LABELS, "www", "alpha", "nosuch"].flatMap((label) => [
  label,
  `tasks.${label}`,
  `${label}-2`,
  ...STACKS.map((stack) => `${label}.${stack}.main.default.berth`),
]);

test("prepared names answer as the oracle that scans the model", () => {
  fc.assert(
    fc.property(model, fc.constantFrom(...NETWORKS), fc.nat(), (generated, networkId, pick) => {
      const tables = buildTables(generated);
      const network = tables.networks.get(networkId);
      assert.ok(network !== undefined);
      const sources = [
        "10.0.0.250",
        "10.1.0.250",
        "10.2.0.250",
        ...generated.attachments.map((item) => item.address),
      ];
      const from = sources[pick % sources.length] ?? "";
      const asker = askerOf(tables, network, from);
      const view = oracleView(generated, networkId, from);
      assert.equal(asker === undefined, view === undefined);
      if (asker === undefined || view === undefined) return;
      for (const name of questions) {
        const outcome = answer(tables, asker, {
          id: 0,
          recursionDesired: true,
          checkingDisabled: false,
          name,
          type: TYPE.A,
          class: CLASS_IN,
          question: Buffer.concat([encodeName(name), Buffer.from([0, 1, 0, 1])]),
        });
        // `tasks.nosuch` has a dot and is nobody's here: it is for the forwarders.
        const records = outcome.kind === "answer" ? answerRecords(outcome.answer) : [];
        const addresses = records.map((item) => (item.type === "A" ? item.address : 0));
        const missing = outcome.kind === "forward" || outcome.answer.rcode === 3;
        const expected = oracleAddresses(generated, view, name);
        const found = missing ? undefined : addresses.sort();
        assert.deepEqual(found, expected?.map((item) => parseIpv4(item) ?? 0).sort(), name);
      }
    }),
    { numRuns: 400, seed: 7 },
  );
});
