/** A short run of what packages/network/fuzz/dns.ts does for as long as it is told. */

import { test } from "node:test";
import { Prng } from "@berth/base";
import { fuzzOnce, fuzzSubject } from "../testing/dns-fuzz.ts";

const MODELS = 40;
const PACKETS = 150;

test("whatever packet comes, the answer is well-formed, true, and fits", () => {
  for (let seed = 1; seed <= MODELS; seed++) {
    const prng = new Prng(seed);
    const subject = fuzzSubject(prng);
    for (let count = 0; count < PACKETS; count++) fuzzOnce(prng, subject);
  }
});
