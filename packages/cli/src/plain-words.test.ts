/** Every line that is read without commander is read as commander reads it. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "@berth/base";
import { COMMANDS } from "./command-table.ts";
import { commanderWords } from "./commander-words.ts";
import { plainWords } from "./plain-words.ts";
import { recorder } from "./testing/command-bench.ts";

const SEED = 20_261_126;
const LINES_EACH = 300;
const ODD = ["-", "--", "", "a=b", "--nope", "-x", "web", "shop/web", "-5", "--json=1", "--file="];

function someWord(flags: readonly string[], random: Prng): string {
  const pick = <T>(list: readonly T[]): T | undefined => list[random.uint32() % list.length];
  const draw = random.uint32() % 10;
  if (draw < 3) return pick(ODD) ?? "";
  const flag = (pick(flags) ?? "--json").replace(/ .*/, "");
  return draw === 3 ? `${flag}=v` : draw === 4 ? `${flag}v` : draw < 7 ? "word" : flag;
}

test("random lines of every command mean the same to both readers", async () => {
  const random = new Prng(SEED);
  let plain = 0;
  for (const { words, load } of COMMANDS) {
    const description = await load();
    const flags = [...(description.options ?? []), { flags: "--json" }, { flags: "--env" }].flatMap(
      (option) => option.flags.replace(/ <.*/, "").split(", "),
    );
    for (let count = 0; count < LINES_EACH; count++) {
      const line = Array.from({ length: random.uint32() % 6 }, () => someWord(flags, random));
      const read = plainWords(description, line);
      if (read === undefined) continue;
      plain++;
      const expected = commanderWords(words, description, line, recorder(false).output);
      assert.deepEqual({ ...read }, expected, `seed ${SEED}: berth ${words} ${line.join(" ")}`);
    }
  }
  assert.ok(plain > 1_000, `${plain} lines were plain`);
});
