/** Which value wins, what is kept, and what made-up values look like. */

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { describe, test } from "node:test";
import { Prng } from "@berth/base";
import type { ParameterWish } from "@berth/protocol";
import { generateToken, generateValue } from "./generate.ts";
import { type KeptParameter, resolveParameters } from "./resolve.ts";

const prng = new Prng(11);
const chance = (count: number) => Uint8Array.from({ length: count }, () => prng.uint32() & 255);
const NOW = 1_700_000_000_000;

function keptAs(value: string, more: Partial<KeptParameter> = {}): KeptParameter {
  return { value, source: "generated", secret: true, updatedAt: 1, ...more };
}

function resolve(
  wishes: Readonly<Record<string, ParameterWish>>,
  kept: Readonly<Record<string, KeptParameter>> = {},
) {
  return resolveParameters({ wishes, kept: new Map(Object.entries(kept)), chance, now: NOW });
}

describe("which value a parameter has", () => {
  const generate = { kind: "password", length: 20 } as const;

  test("given wins over kept, kept over made up, made up over the default", () => {
    const all = { given: "g", generate, fallback: "d", secret: true };
    const kept = { A: keptAs("k") };
    const one = (wish: ParameterWish, from = kept) => resolve({ A: wish }, from).values["A"];
    assert.deepEqual(one(all), { value: "g", source: "given", changed: true });
    const { given: _given, ...rest } = all;
    assert.deepEqual(one(rest), { value: "k", source: "kept", changed: false });
    const made = resolve({ A: rest });
    assert.equal(made.values["A"]?.source, "generated");
    assert.match(made.values["A"]?.value ?? "", /^[A-Za-z0-9]{20}$/);
    assert.deepEqual(resolve({ A: { fallback: "d", secret: false } }).values["A"], {
      value: "d",
      source: "default",
      changed: false,
    });
  });

  test("what was given or made up is kept, what was kept or is a default is not written again", () => {
    const { toKeep } = resolve(
      {
        GIVEN: { given: "g", secret: false },
        SAME: { given: "s", secret: false },
        MADE: { generate, secret: true },
        KEPT: { generate, secret: true },
        DEFAULT: { fallback: "d", secret: false },
      },
      { SAME: keptAs("s", { source: "given", secret: false }), KEPT: keptAs("k") },
    );
    assert.deepEqual([...toKeep.keys()], ["GIVEN", "MADE"]);
    assert.deepEqual(toKeep.get("GIVEN"), {
      value: "g",
      source: "given",
      secret: false,
      updatedAt: NOW,
    });
  });

  test("while one is missing nothing is to be kept", () => {
    const { missing, toKeep, values } = resolve({
      MADE: { generate, secret: true },
      LOST: { secret: false },
    });
    assert.deepEqual([missing, toKeep.size, Object.keys(values)], [["LOST"], 0, ["MADE"]]);
  });
});

describe("tokens", () => {
  const token = { kind: "jwt", signedWith: "KEY", claims: { role: "anon" }, lifetimeSeconds: 60 };
  const wishes = (given?: string): Record<string, ParameterWish> => ({
    TOKEN: { generate: token as ParameterWish["generate"] & object, secret: true },
    KEY: {
      ...(given === undefined ? {} : { given }),
      generate: { kind: "hex", length: 40 },
      secret: true,
    },
  });

  test("a token is signed with its parameter's value, whatever the order of the file", () => {
    const { values } = resolve(wishes("key"));
    const [head = "", body = "", signature] = (values["TOKEN"]?.value ?? "").split(".");
    const wanted = createHmac("sha256", "key").update(`${head}.${body}`).digest("base64url");
    assert.equal(signature, wanted);
    assert.deepEqual(JSON.parse(Buffer.from(body, "base64url").toString()), {
      iat: NOW / 1000,
      exp: NOW / 1000 + 60,
      role: "anon",
    });
  });

  test("it stays as it is until its key changes", () => {
    const first = resolve(wishes("key"));
    const kept = Object.fromEntries(first.toKeep);
    assert.equal(resolve(wishes(), kept).values["TOKEN"]?.source, "kept");
    const changed = resolve(wishes("other"), kept).values["TOKEN"];
    assert.deepEqual([changed?.source, changed?.changed], ["generated", true]);
    assert.notEqual(changed?.value, first.values["TOKEN"]?.value);
  });

  test("claims of the file win over the times", () => {
    const value = generateToken({ kind: "jwt", signedWith: "K", claims: { iat: 5 } }, "k", NOW);
    const body = Buffer.from(value.split(".")[1] ?? "", "base64url").toString();
    assert.deepEqual(JSON.parse(body), { iat: 5 });
  });
});

describe("made-up values", () => {
  const forms: readonly [Parameters<typeof generateValue>[0], RegExp][] = [
    [{ kind: "password", length: 32 }, /^[A-Za-z0-9]{32}$/],
    [{ kind: "hex", length: 7 }, /^[0-9a-f]{7}$/],
    [{ kind: "base64", length: 32 }, /^[A-Za-z0-9+/]{43}=$/],
    [{ kind: "uuid" }, /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/],
  ];
  for (const [how, form] of forms) {
    test(`${how.kind} looks like one, and each is another`, () => {
      const made = Array.from({ length: 50 }, () => generateValue(how, chance));
      for (const value of made) assert.match(value, form);
      // Seven digits may meet by chance, in one of 200,000 runs.
      assert.ok(new Set(made).size >= 49);
    });
  }

  test("every character of a password is as likely as every other", () => {
    const counts = new Map<string, number>();
    for (const char of generateValue({ kind: "password", length: 62_000 }, chance)) {
      counts.set(char, (counts.get(char) ?? 0) + 1);
    }
    assert.equal(counts.size, 62);
    // A thousand each on average; the seed is fixed, five standard deviations leave room.
    for (const count of counts.values()) assert.ok(Math.abs(count - 1000) < 160, String(count));
  });
});
