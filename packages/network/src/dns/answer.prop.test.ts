/** The prepared tables against a slow oracle that reads the model anew for every question. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseIpv4 } from "../ipv4.ts";
import type { NodeNetworkModel, ServiceModel } from "../model.ts";
import { modelOf } from "../testing/model-text.ts";
import { answer } from "./answer.ts";
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
        const records = outcome.kind === "answer" ? outcome.answer.answers : [];
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

interface View {
  readonly stack: string;
  readonly networkIds: readonly string[];
}

function oracleView(model: NodeNetworkModel, networkId: string, from: string): View | undefined {
  if (!from.startsWith(`10.${NETWORKS.indexOf(networkId)}.0.`)) return undefined;
  const own = model.attachments.find((item) => item.address === from);
  if (own === undefined) {
    const network = model.networks.find((item) => item.id === networkId);
    return { stack: network?.stack ?? "", networkIds: [networkId] };
  }
  const all = model.attachments.filter((item) => item.taskId === own.taskId);
  const others = all.map((item) => item.networkId).filter((id) => id !== networkId);
  return { stack: own.stack, networkIds: [networkId, ...others] };
}

/** `undefined`: there is no such name. Straight from the words of docs/design/dns.md. */
function oracleAddresses(
  model: NodeNetworkModel,
  view: View,
  name: string,
): readonly string[] | undefined {
  const full = /^(.+)\.([^.]+)\.main\.default\.berth$/.exec(name);
  const label = full?.[1] ?? name;
  const stack = full?.[2];
  const services = (wanted: string) => firstOwn(view, (id) => declared(model, id, wanted, stack));
  const hosts = (wanted: string) => firstOwn(view, (id) => hostHits(model, id, wanted, stack));
  const rest = label.replace(/^tasks\./, "");
  const [, base = "", slot] = /^(.+)-(\d+)$/.exec(label) ?? [];
  const steps: (() => readonly string[] | undefined)[] = [
    () => services(label)?.flatMap(([service, id]) => serviceAddresses(model, service, id)),
    () => hosts(label)?.map(([, , address]) => address),
    () =>
      rest === label ? undefined : services(rest)?.flatMap((hit) => copyAddresses(model, hit)),
    () => (rest === label ? undefined : hosts(rest)?.map(([, , address]) => address)),
    () => {
      const owners = services(base) ?? hosts(base) ?? [];
      const found = owners.flatMap((hit) => copyAddresses(model, hit, Number(slot)));
      const exists = owners.some((hit) => isAttached(model, hit, Number(slot)));
      return found.length > 0 || exists ? found : undefined;
    },
  ];
  for (const step of steps) {
    const found = step();
    if (found !== undefined) return [...new Set(found)];
  }
  return undefined;
}

type Hit = readonly [ServiceModel, string, ...string[]];

/** Hits on the first network that has one of the own stack, else on the first that has any. */
function firstOwn<T extends Hit>(
  view: View,
  hitsOn: (id: string) => readonly T[],
): readonly T[] | undefined {
  const all = view.networkIds.map(hitsOn).filter((hits) => hits.length > 0);
  const own = all.map((hits) => hits.filter(([service]) => service.stack === view.stack));
  return own.find((hits) => hits.length > 0) ?? all[0];
}

function declared(
  model: NodeNetworkModel,
  id: string,
  label: string,
  stack: string | undefined,
): Hit[] {
  return model.services
    .filter((service) => stack === undefined || service.stack === stack)
    .filter((service) =>
      service.networks.some(
        (entry) =>
          entry.networkId === id && (service.service === label || entry.aliases.includes(label)),
      ),
    )
    .map((service) => [service, id]);
}

function hostHits(model: NodeNetworkModel, id: string, label: string, stack: string | undefined) {
  return model.services
    .filter((service) => stack === undefined || service.stack === stack)
    .flatMap((service) =>
      copies(model, service, id)
        .filter((copy) => copy.hostname === label)
        .map((copy) => [service, id, copy.address] as const),
    );
}

function copies(model: NodeNetworkModel, service: ServiceModel, id: string) {
  return model.endpoints.filter(
    (item) =>
      item.state === "ready" &&
      item.networkId === id &&
      item.service === service.service &&
      item.stack === service.stack,
  );
}

function isAttached(model: NodeNetworkModel, [service, id]: Hit, slot: number): boolean {
  return model.attachments.some(
    (item) =>
      item.networkId === id &&
      item.slot === slot &&
      item.service === service.service &&
      item.stack === service.stack,
  );
}

function serviceAddresses(model: NodeNetworkModel, service: ServiceModel, id: string): string[] {
  const vip = service.networks.find((entry) => entry.networkId === id)?.virtualAddress;
  return vip === undefined ? copies(model, service, id).map((copy) => copy.address) : [vip];
}

function copyAddresses(model: NodeNetworkModel, [service, id]: Hit, slot?: number): string[] {
  return copies(model, service, id)
    .filter((copy) => slot === undefined || copy.slot === slot)
    .map((copy) => copy.address);
}
