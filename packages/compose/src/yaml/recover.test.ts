import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Prng } from "@berth/base";
import { memoryFiles } from "../files.ts";
import { loadCompose } from "../load/load.ts";
import { formatProblem } from "../problem.ts";

function problems(text: string): readonly string[] {
  const result = loadCompose({
    files: ["/p/c.yaml"],
    environment: {},
    fs: memoryFiles({ "/p/c.yaml": text, "/p/web.env": "A=1\n" }),
  });
  if (result.ok) return [];
  return result.problems.map((one) => formatProblem(one).replace("/p/c.yaml:", ""));
}

/** Text, and every problem that is named. */
const CASES: readonly (readonly [string, string, ...string[]])[] = [
  [
    "a bracket that is not closed hides no unknown key",
    "services:\n  web:\n    image: x\n    ports: [80:80\n    enviroment: {A: 1}\n  db:\n    imag: y\n",
    "4:12  the [ is not closed; expected a ], or lines that are indented deeper",
    "5:5  services.web.enviroment   unknown key; did you mean environment?",
    "7:5  services.db.imag   unknown key; did you mean image?",
  ],
  [
    "two mistakes of syntax, and a reference that leads nowhere",
    "services:\n  web:\n    image: x\n    user: @me\n    command: a: b\n    depends_on: [dbb]\n  db: {image: y}\n",
    '4:11  a text that begins with "@" is no YAML; expected the text in quotes',
    '5:14  a text that has a colon with a space (": ") in it is no YAML; expected the text in quotes',
    '6:18  services.web.depends_on.dbb   there is no service "dbb"; did you mean db?',
  ],
  [
    "a service whose text is broken is still there",
    "services:\n  db: {image: @y}\n  web:\n    image: x\n    depends_on: [db]\n    hostname: 12\n",
    '2:15  a text that begins with "@" is no YAML; expected the text in quotes',
    '6:15  services.web.hostname   is the number 12; expected text: "12" in quotes',
  ],
  [
    "nothing is said of what may have been in a part that is lost",
    "volumes:\n  a: {}\n   b: {}\nservices:\n  web:\n    image: x\n    volumes: ['b:/b', 1]\n",
    "3:4  the line is indented by 3 spaces, as no line above it that it could belong to; expected the column of its sisters",
    '7:23  services.web.volumes[1]   is the number 1; expected text: "1" in quotes',
  ],
  [
    "a key without its colon is neither missing nor unknown",
    "services:\n  web:\n    image nginx\n    prots: ['80:80']\n",
    "3:5  there is no colon after the key of this line; expected KEY: VALUE, with a space after the colon",
    "4:5  services.web.prots   unknown key; did you mean ports?",
  ],
  [
    "an anchor that is lost is not missed",
    "x-a: &a {b: @c}\nservices:\n  web:\n    image: x\n    labels: *a\n    hostname: 12\n",
    '1:13  a text that begins with "@" is no YAML; expected the text in quotes',
    '6:15  services.web.hostname   is the number 12; expected text: "12" in quotes',
  ],
];

for (const [name, text, ...expected] of CASES) {
  test(name, () => assert.deepEqual(problems(text), expected));
}

const MISTAKES = [" @x", " a: b", " [a", " {a: 1", " 'a", ' "a', " %a", " `a", " *", " a]: }"];

test("a mistake in one line of a right file is told of in this line alone", () => {
  const file = new URL("../../testdata/kitchen/compose.yaml", import.meta.url);
  const lines = readFileSync(file, "utf8").split("\n");
  const random = new Prng(20_261_126);
  const pick = <T>(list: readonly T[]): T => list[random.uint32() % list.length] as T;
  const keys = lines.flatMap((line, index) => (/^ *[\w-]+: [^|>&[{]*$/.test(line) ? [index] : []));
  assert.ok(keys.length > 20);
  const right = new Set(problems(lines.join("\n")));
  for (let round = 0; round < 150; round++) {
    const at = pick(keys);
    const broken = lines.with(at, (lines[at] ?? "").replace(/: .*/, `:${pick(MISTAKES)}`));
    const told = problems(broken.join("\n")).filter((one) => !right.has(one));
    const elsewhere = told.filter((one) => !one.startsWith(`${at + 1}:`));
    assert.deepEqual(elsewhere, [], `line ${at + 1}: ${broken[at]}`);
  }
});
