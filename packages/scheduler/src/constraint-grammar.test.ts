/** What the grammar reads, what it refuses and where, and which nodes meet what it read. */

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { meetsConstraint } from "./constraint.ts";
import { CONSTRAINT_CHARS_MAX, parseConstraint } from "./constraint-grammar.ts";
import { constraint, makeNode } from "./testing/fixtures.ts";

/** Text, attribute, operator, values. */
const READ: readonly (readonly [string, string, string, readonly string[]])[] = [
  ["node.labels.zone==a", "node.labels.zone", "==", ["a"]],
  ["node.labels.zone == a", "node.labels.zone", "==", ["a"]],
  ["  node.role != manager  ", "node.role", "!=", ["manager"]],
  ["Node.Role==manager", "node.role", "==", ["manager"]],
  ["NODE.LABELS.Zone==a", "node.labels.Zone", "==", ["a"]],
  [
    "engine.labels.operatingsystem==debian 12",
    "engine.labels.operatingsystem",
    "==",
    ["debian 12"],
  ],
  ["node.labels.example.com/disk-type==ssd", "node.labels.example.com/disk-type", "==", ["ssd"]],
  ["node.hostname=='a b'", "node.hostname", "==", ["a b"]],
  ['node.hostname=="a,b"', "node.hostname", "==", ["a,b"]],
  ["node.labels.a==b==c", "node.labels.a", "==", ["b==c"]],
  ["node.ip==10.0.0.0/8", "node.ip", "==", ["10.0.0.0/8"]],
  ["node.platform.arch==x86_64", "node.platform.arch", "==", ["x86_64"]],
  ["node.topology.rack==7", "node.topology.rack", "==", ["7"]],
  ["node.labels.zone in (a, b)", "node.labels.zone", "in", ["a", "b"]],
  ["node.labels.zone in [a,b]", "node.labels.zone", "in", ["a", "b"]],
  ["node.labels.zone in a,b", "node.labels.zone", "in", ["a", "b"]],
  ["node.labels.zone IN (a)", "node.labels.zone", "in", ["a"]],
  ["node.labels.zone in ('a,b', c)", "node.labels.zone", "in", ["a,b", "c"]],
  ["node.labels.zone not in (a)", "node.labels.zone", "not in", ["a"]],
  ["node.labels.zone not  in(a)", "node.labels.zone", "not in", ["a"]],
  ["node.labels.gpu exists", "node.labels.gpu", "exists", []],
  ["node.labels.gpu not exists", "node.labels.gpu", "not exists", []],
  ["node.labels.cores>=8", "node.labels.cores", ">=", ["8"]],
  ["node.labels.cores < -3", "node.labels.cores", "<", ["-3"]],
  ["node.labels.kernel > 5.15.0-rc1", "node.labels.kernel", ">", ["5.15.0-rc1"]],
  ["node.labels.kernel <= v6.1", "node.labels.kernel", "<=", ["v6.1"]],
  ["node.hostname like web-*", "node.hostname", "like", ["web-*"]],
  ["node.hostname not like *-test", "node.hostname", "not like", ["*-test"]],
];

test("reads every form", () => {
  for (const [text, attribute, operator, values] of READ) {
    const expected = { attribute, operator, values, text: text.trim() };
    assert.deepEqual(parseConstraint(text), { kind: "constraint", constraint: expected }, text);
  }
});

/** Text, code, column. */
const REFUSED: readonly (readonly [string, string, number])[] = [
  ["", "empty", 1],
  ["   ", "empty", 1],
  [`node.labels.a==${"x".repeat(CONSTRAINT_CHARS_MAX)}`, "too-long", 1],
  ["zone==a", "unknown-attribute", 1],
  ["  node.zone==a", "unknown-attribute", 3],
  ["node.labels.==a", "unknown-attribute", 1],
  ["==a", "unknown-attribute", 1],
  ["node.labels.zone", "unknown-operator", 17],
  ["node.labels.zone=a", "unknown-operator", 17],
  ["node.labels.zone = a", "unknown-operator", 17],
  ["node.labels.zone inside (a)", "unknown-operator", 17],
  ["node.labels.zone not (a)", "unknown-operator", 17],
  ["node.labels.zone==", "missing-value", 19],
  ["node.labels.zone in", "missing-value", 20],
  ["node.labels.zone in (a", "bad-value", 20],
  ["node.labels.zone in ()", "bad-value", 20],
  ["node.labels.zone in (a,,b)", "bad-value", 20],
  ["node.labels.zone exists a", "unexpected-value", 24],
  ["node.labels.cores > many", "bad-value", 20],
  ["node.ip==10.0.0.0/33", "bad-value", 10],
  ["node.ip==fd00::/8", "bad-value", 10],
];

test("refuses everything else, and says where it begins to be wrong", () => {
  for (const [text, code, column] of REFUSED) {
    const result = parseConstraint(text);
    const seen = result.kind === "problem" ? [result.code, result.column] : [result.kind];
    assert.deepEqual(seen, [code, column], text);
  }
});

test("words its refusals for the reader", () => {
  const messages = ["node.zone==a", "node.labels.a=b", "node.role in (", "node.role >= x"].map(
    (text) => {
      const result = parseConstraint(text);
      return result.kind === "problem" ? result.message : "none";
    },
  );
  assert.deepEqual(messages, [
    'no attribute "node.zone"; there are node.id, node.name, node.hostname, node.ip, node.role, ' +
      "node.platform.os, node.platform.arch, node.labels.<name>, engine.labels.<name>, " +
      "node.topology.<name>",
    "expected an operator after node.labels.a: ==, !=, <, <=, >, >=, in, not in, exists, " +
      "not exists, like, not like",
    "expected a list after in, for example (a, b)",
    '>= compares numbers and versions, and "x" is neither',
  ]);
});

test("any text gives a constraint or a problem within the text", () => {
  const pieces = fc.constantFrom(
    "node.labels.a",
    "node.ip",
    "==",
    "in",
    "(",
    ")",
    ",",
    "'",
    " ",
    "5",
  );
  const text = fc.oneof(
    fc.string(),
    fc.array(pieces, { maxLength: 8 }).map((list) => list.join("")),
  );
  fc.assert(
    fc.property(text, (text) => {
      const result = parseConstraint(text);
      if (result.kind === "problem") {
        assert.ok(result.column >= 1 && result.column <= text.length + 1);
        return;
      }
      // What was read is read again from its own text, and can be asked of any node.
      assert.deepEqual(parseConstraint(result.constraint.text), result);
      assert.equal(typeof meetsConstraint(makeNode("a"), result.constraint), "boolean");
    }),
    { numRuns: 2_000, seed: 1 },
  );
});

const NODE = makeNode("id-1", {
  name: "web-1",
  labels: { zone: "A", cores: "8", kernel: "5.15.2", cuda: "12.4", beta: "2.0.0-rc2", empty: "" },
  engineLabels: { storage: "ssd" },
  topology: { rack: "7" },
  roles: ["manager", "worker"],
  addresses: ["10.1.2.3", "fd00::1"],
  platform: { os: "linux", architecture: "x86_64" },
});

/** Constraints that the node above meets; `not` those that it does not. */
const MET = [
  "node.id==id-1",
  "node.hostname==web-1",
  "node.name==WEB-1",
  "node.role==manager",
  "node.role==worker",
  "node.labels.zone==a",
  "node.labels.missing!=a",
  "node.labels.constructor not exists",
  "node.labels.empty exists",
  "engine.labels.storage==ssd",
  "node.topology.rack==7",
  "node.ip==10.1.2.3",
  "node.ip==10.1.0.0/16",
  "node.ip==fd00::1",
  "node.ip!=192.168.0.0/16",
  "node.platform.os==Linux",
  "node.platform.arch==amd64",
  "node.platform.arch==x86_64",
  "node.labels.zone in (b, a)",
  "node.labels.zone not in (b, c)",
  "node.labels.missing not in (a)",
  "node.labels.cores>=8",
  "node.labels.cores<10",
  "node.labels.kernel>=5.4",
  "node.labels.kernel<5.15.10",
  "node.labels.kernel>v5.15",
  "node.labels.cuda<12.10",
  "node.labels.beta<2.0.0",
  "node.labels.beta>2.0.0-rc1",
  "node.hostname like web-*",
  "node.hostname like *b-?",
  "node.hostname not like web",
  "node.labels.missing not like *",
];

const UNMET = [
  "node.role!=manager",
  "node.labels.zone==b",
  "node.labels.missing==a",
  "node.labels.missing in (a)",
  "node.labels.missing exists",
  "node.labels.missing like *",
  "node.labels.missing>1",
  "node.labels.zone not in (a)",
  "node.labels.zone>1",
  "node.ip==10.2.0.0/16",
  "node.ip!=10.0.0.0/8",
  "node.labels.cores>8",
  "node.labels.kernel<5.4",
  "node.labels.beta>=2.0.0",
  "node.hostname like web",
  "node.hostname like web-??",
  "node.platform.arch!=x86_64",
];

test("says which nodes meet a constraint", () => {
  const met = (text: string) => meetsConstraint(NODE, constraint(text));
  assert.deepEqual(
    MET.filter((text) => !met(text)),
    [],
  );
  assert.deepEqual(UNMET.filter(met), []);
});

test("each negative operator is the opposite of its positive one on any node", () => {
  const value = fc.constantFrom("a", "b", "A", "web-1", "*", "a*", "?");
  const labels = fc.dictionary(fc.constantFrom("zone", "rack"), value);
  fc.assert(
    fc.property(labels, value, (labels, wanted) => {
      const node = makeNode("n", { labels });
      const met = (text: string) => meetsConstraint(node, constraint(`node.labels.zone ${text}`));
      assert.equal(met(`== ${wanted}`), !met(`!= ${wanted}`));
      assert.equal(met(`in (${wanted}, x)`), !met(`not in (${wanted}, x)`));
      assert.equal(met(`like ${wanted}`), !met(`not like ${wanted}`));
      assert.equal(met("exists"), !met("not exists"));
    }),
    { numRuns: 500, seed: 1 },
  );
});

test("a pattern agrees with the regular expression it stands for", () => {
  const letters = fc.string({ unit: fc.constantFrom("a", "b"), maxLength: 8 });
  const pattern = fc.string({
    unit: fc.constantFrom("a", "b", "*", "?"),
    minLength: 1,
    maxLength: 6,
  });
  fc.assert(
    fc.property(letters, pattern, (text, pattern) => {
      const node = makeNode("n", { labels: { x: text } });
      const expression = new RegExp(`^${pattern.replaceAll("*", ".*").replaceAll("?", ".")}$`);
      const met = meetsConstraint(node, constraint(`node.labels.x like ${pattern}`));
      assert.equal(met, expression.test(text));
    }),
    { numRuns: 1_000, seed: 1 },
  );
});
