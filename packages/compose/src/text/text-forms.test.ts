import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { parseByteSize } from "./byte-size.ts";
import { formatGoDuration, parseGoDuration } from "./duration.ts";
import { compareBytes, float32Text, goFloat } from "./go-number.ts";
import { compareNatural } from "./natural-order.ts";
import { shellWords } from "./shell-words.ts";

function table<In, Out>(
  name: string,
  of: (input: In) => Out,
  cases: readonly (readonly [In, Out])[],
): void {
  test(name, () => {
    assert.deepEqual(
      cases.map(([input]) => [input, of(input)]),
      cases,
    );
  });
}

table("durations are read as Go reads them", parseGoDuration, [
  ["0", 0],
  ["1m30s", 90_000],
  ["1.5h", 5_400_000],
  ["300us", 0.3],
  ["1h2m3s4ms", 3_723_004],
  ["-5s", -5_000],
  [".5s", 500],
  ["5", undefined],
  ["1d", undefined],
  ["", undefined],
  ["s", undefined],
  ["1s ", undefined],
  ["9999999999h", undefined],
]);

table("durations are printed as Go prints them", formatGoDuration, [
  [0, "0s"],
  [90_000, "1m30s"],
  [3_600_000, "1h0m0s"],
  [1.5, "1.5ms"],
  [0.001, "1µs"],
  [61_500, "1m1.5s"],
  [-5_000, "-5s"],
]);

test("what is printed as a duration reads as the same length", () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 40 }), (ms) => {
      assert.equal(parseGoDuration(formatGoDuration(ms)), ms);
    }),
    { seed: 20261120, numRuns: 2000 },
  );
});

table("sizes are powers of 1024", parseByteSize, [
  ["1024", 1024],
  ["512m", 512 * 1024 ** 2],
  ["1.5 GiB", 1.5 * 1024 ** 3],
  ["2kb", 2048],
  ["1K", 1024],
  ["-1", undefined],
  ["1 x", undefined],
  ["", undefined],
  ["9999999999p", undefined],
]);

table("a line splits into words without a shell", shellWords, [
  ["", []],
  ["echo a  b", ["echo", "a", "b"]],
  [`echo "a b" 'c "d"' e\\ f`, ["echo", "a b", 'c "d"', "e f"]],
  [`a""b ''`, ["ab", ""]],
  ["sh -c 'a && b; c > d'", ["sh", "-c", "a && b; c > d"]],
  ["a && b", ["a"]],
  ["a > f", ["a"]],
  ["a 2>f", ["a"]],
  ["a; b", ["a"]],
  [`"open`, undefined],
  ["$(id)", ["$(id)"]],
  ['echo $(id -u "a b") c', ["echo", '$(id -u "a b")', "c"]],
  ["echo $(id", undefined],
  ["(id)", undefined],
  ["a\\", undefined],
]);

table("floats are printed as Go prints them", goFloat, [
  [1.5, "1.5"],
  [1e21, "1e+21"],
  [1e20, "1e+20"],
  [1e6, "1e+06"],
  [1234567.5, "1.2345675e+06"],
  [999999.5, "999999.5"],
  [0.0001, "0.0001"],
  [0.00001, "1e-05"],
  [-0, "-0"],
]);

table("32-bit floats are printed at their shortest", float32Text, [
  [0.1, "0.1"],
  [0.5, "0.5"],
  [1 / 3, "0.33333334"],
  [4, "4"],
]);

test("keys are ordered by bytes in JSON and naturally in YAML", () => {
  const keys = ["b", "A", "a10", "a9", "a_b", "aB", "é", "𐀀", "\uffee", "A_B", "AB"];
  assert.deepEqual(keys.toSorted(compareBytes), [
    "A",
    "AB",
    "A_B",
    "a10",
    "a9",
    "aB",
    "a_b",
    "b",
    "é",
    "\uffee",
    "𐀀",
  ]);
  assert.deepEqual(
    ["NEXT_PUBLIC", "NEXTAUTH", "a10", "a9", "a9b", "WEBHOOK", "WEB_APP"].toSorted(compareNatural),
    ["NEXT_PUBLIC", "NEXTAUTH", "WEB_APP", "WEBHOOK", "a9", "a9b", "a10"],
  );
});
