/**
 * Fuzzes DNS for a time: random models, packets made right and wrong on purpose, answers judged by an
 * unrelated library and an oracle; answers of other servers, with chains of aliases in circles; and the real
 * server on loopback sockets, with TCP streams cut anywhere. Needs no privilege and asks nobody else.
 *
 *   node packages/network/fuzz/dns.ts [--minutes 60] [--seed N]
 *
 * Ends with code 1 at the first packet that breaks a rule, with the seed that brings it back.
 */

import { parseArgs } from "node:util";
import { Prng } from "@berth/base";
import { fuzzOnce, fuzzSubject } from "../src/testing/dns-fuzz.ts";
import { fuzzForwardedOnce } from "../src/testing/dns-fuzz-forwarded.ts";
import { FuzzedServer } from "../src/testing/dns-fuzz-server.ts";

const PACKETS_PER_MODEL = 1_000;
const FORWARDED_PER_MODEL = 300;
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
const counts = { packets: 0, forwarded: 0, messages: 0 };
const server = await FuzzedServer.open(new Prng(first));
let seed = first;
for (; performance.now() < untilMs; seed++) {
  const prng = new Prng(seed);
  try {
    const subject = fuzzSubject(prng);
    for (let count = 0; count < PACKETS_PER_MODEL; count++) fuzzOnce(prng, subject);
    for (let count = 0; count < FORWARDED_PER_MODEL; count++) fuzzForwardedOnce(prng);
    counts.messages += await server.fuzz(prng, subject);
  } catch (error) {
    console.error(`seed ${seed}:`, error);
    process.exit(1);
  }
  counts.packets += PACKETS_PER_MODEL;
  counts.forwarded += FORWARDED_PER_MODEL;
  if (performance.now() - reportedMs < REPORT_EVERY_MS) continue;
  reportedMs = performance.now();
  report(seed);
}
await server.close();
report(seed - 1);

function report(last: number): void {
  const { packets, forwarded, messages } = counts;
  console.log(
    `${packets} packets, ${forwarded} forwarded questions, ${messages} messages to the server by UDP and TCP; seeds ${first} to ${last}, no failure`,
  );
}
