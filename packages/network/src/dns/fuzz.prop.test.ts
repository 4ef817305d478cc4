/** A short run of what packages/network/fuzz/dns.ts does for as long as it is told. */

import { test } from "node:test";
import { Prng } from "@berth/base";
import { fuzzOnce, fuzzSubject } from "../testing/dns-fuzz.ts";
import { fuzzForwardedOnce } from "../testing/dns-fuzz-forwarded.ts";
import { FuzzedServer } from "../testing/dns-fuzz-server.ts";

const MODELS = 40;
const PACKETS = 150;
const FORWARDED = 3_000;
const SERVED_MODELS = 6;

test("whatever packet comes, the answer is well-formed, true, and fits", () => {
  for (let seed = 1; seed <= MODELS; seed++) {
    const prng = new Prng(seed);
    const subject = fuzzSubject(prng);
    for (let count = 0; count < PACKETS; count++) fuzzOnce(prng, subject);
  }
});

test("whatever another server answers, aliases end and the asker gets a message that is whole", () => {
  const prng = new Prng(1);
  for (let count = 0; count < FORWARDED; count++) fuzzForwardedOnce(prng);
});

test("whatever came before by UDP and TCP, the server answers a plain question", async () => {
  const prng = new Prng(1);
  const server = await FuzzedServer.open(prng);
  try {
    for (let count = 0; count < SERVED_MODELS; count++) await server.fuzz(prng, fuzzSubject(prng));
  } finally {
    await server.close();
  }
});
