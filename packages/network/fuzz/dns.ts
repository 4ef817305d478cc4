/**
 * Fuzzes DNS for a time: random models, packets made right and wrong on purpose, answers judged by an
 * unrelated library and an oracle.
 *
 *   node packages/network/fuzz/dns.ts [--minutes 60] [--seed N]
 *
 * Ends with code 1 at the first packet that breaks a rule, with the seed that brings it back.
 */

import { parseArgs } from "node:util";
import { Prng } from "@berth/base";
import { fuzzOnce, fuzzSubject } from "../src/testing/dns-fuzz.ts";

const PACKETS_PER_MODEL = 1_000;
const REPORT_EVERY_MS = 60_000;

const { values } = parseArgs({
  options: {
    minutes: { type: "string", default: "1" },
    seed: { type: "string", default: String(Date.now() % 1_000_000_000) },
  },
});
const from = performance.now();
const untilMs = from + Number(values.minutes) * 60_000;
const first = Number(values.seed);
let reportedMs = from;
let packets = 0;
let seed = first;
for (; performance.now() < untilMs; seed++) {
  const prng = new Prng(seed);
  try {
    const subject = fuzzSubject(prng);
    for (let count = 0; count < PACKETS_PER_MODEL; count++) fuzzOnce(prng, subject);
  } catch (error) {
    console.error(`seed ${seed}:`, error);
    process.exit(1);
  }
  packets += PACKETS_PER_MODEL;
  if (performance.now() - reportedMs < REPORT_EVERY_MS) continue;
  reportedMs = performance.now();
  console.log(`${packets} packets, seeds ${first} to ${seed}, no failure`);
}
console.log(`${packets} packets, seeds ${first} to ${seed - 1}, no failure`);
