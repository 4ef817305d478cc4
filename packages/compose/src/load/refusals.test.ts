// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the words of the language under test
import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryFiles } from "../files.ts";
import { ALIAS_NODES_MAX, DEPTH_MAX, FILE_BYTES_MAX } from "../limits.ts";
import { formatProblem } from "../problem.ts";
import { type LoadResult, loadCompose } from "./load.ts";

function load(text: string): LoadResult {
  return loadCompose({
    files: ["/p/c.yaml"],
    environment: {},
    fs: memoryFiles({ "/p/c.yaml": text }),
  });
}

function problems(text: string): readonly string[] {
  const result = load(text);
  return result.ok
    ? []
    : result.problems.map((one) => formatProblem(one).replace("/p/c.yaml:", ""));
}

const web = (keys: string) => `services:\n  web: {image: x, ${keys}}\n`;

/** File, and every problem that is named. */
const CASES: readonly (readonly [string, string, ...string[]])[] = [
  ["nothing", "", "1:1  the file is empty"],
  ["a list", "- a", "1:1  the file is a list; expected a mapping"],
  [
    "a control character",
    "services:\n  a\u0007: {image: x}",
    "2:4  the control character U+0007 stands here; expected an escape in double quotes",
  ],
  [
    "bytes that are no UTF-8",
    "services: {a: {image: 'x\ud800'}}",
    "1:25  is not UTF-8 here; expected a file in UTF-8",
  ],
  [
    "numbers that JSON has not",
    "x-a: [&a .inf, *a]\nservices: {a: {image: x, environment: {A: .nan}}}",
    "1:10  x-a[0]   is the number +Inf; expected a number that JSON has, or text in quotes",
    "2:43  services.a.environment.A   is the number NaN; expected a number that JSON has, or text in quotes",
  ],
  [
    "two merge keys",
    "services:\n  a:\n    <<: {image: x}\n    <<: {tty: true}",
    '4:5  services.a   the key "<<" is there twice (first at line 3); expected one << with a list of mappings: [*a, *b]',
  ],
  [
    "names twice in a list",
    "services: {a: {image: x, networks: [n, n]}}\nnetworks: {n: {}}",
    '1:40  services.a.networks[1]   "n" is there twice',
  ],
  [
    "an empty name",
    "services: {a: {image: x, environment: {'': x}}}",
    "1:40  services.a.environment   has an empty name; expected a word",
  ],
  [
    "a bare IPv6 address",
    "services: {a: {image: x, ports: ['::1:80:80']}}",
    '1:34  services.a.ports[0]   "::1:80:80": an IPv6 address stands in brackets: [::1]:80:80; expected [[ADDRESS:]HOST:]CONTAINER[/tcp|udp], numbers or ranges',
  ],
  [
    "a link of three parts",
    "services: {a: {image: x, links: ['b:c:d']}, b: {image: x}}",
    '1:26  services.a.links   there is no service "b:c:d"',
  ],
  [
    "a mode in quotes",
    "services: {a: {image: x, volumes: [{type: tmpfs, target: /t, tmpfs: {mode: '1777'}}]}}",
    '1:76  services.a.volumes[0].tmpfs.mode   is "1777"; expected a whole number from 0 to 4095 without quotes',
  ],
  [
    "binary that is none",
    "services: {a: {image: !!binary '*'}}",
    "1:32  services.a.image   is not base64 of a text, as !!binary says",
  ],
  [
    "not YAML",
    "services:\n  web: [a\n",
    "2:8  the [ is not closed; expected a ], or lines that are indented deeper",
  ],
  [
    "a key twice",
    "services:\n  web: {image: x}\n  web: {image: y}\n",
    '3:3  services.web   the key "web" is there twice (first at line 2)',
  ],
  [
    "a key that is a number",
    "services:\n  1: {image: x}\n",
    '2:3  services   a key must be text; expected "1" in quotes',
  ],
  [
    "an unknown alias",
    "services:\n  web: *bsae\nx: &base 1\n",
    "2:8  services.web   there is no anchor &bsae before this alias",
    "3:1  x   unknown key",
  ],
  [
    "an alias in its own anchor",
    "x-a: &a {b: *a}\nservices: {w: {image: x}}\n",
    "1:13  x-a.b   the alias *a is inside its own anchor: x-a → x-a.b → x-a",
  ],
  [
    "no image",
    "services:\n  web: {command: x}\n",
    "2:3  services.web   has neither image nor build; expected one of the two",
  ],
  [
    "a service that is nothing",
    "services:\n  web:\n",
    "2:3  services.web   is nothing; expected a mapping with image or build",
  ],
  [
    "a name with a space",
    'services:\n  "we b": {image: x}\n',
    "2:3  services.we b   \"we b\" is not a valid name; expected letters, digits, '.', '_' and '-'",
  ],
  [
    "an unknown key",
    web("enviroment: {}"),
    "2:19  services.web.enviroment   unknown key; did you mean environment?",
  ],
  [
    "a key of elsewhere",
    web("replicas: 2"),
    "2:19  services.web.replicas   unknown key; did you mean deploy.replicas?",
  ],
  [
    "a number for text",
    web("hostname: 12"),
    '2:29  services.web.hostname   is the number 12; expected text: "12" in quotes',
  ],
  [
    "a bad port",
    web('ports: ["80:x"]'),
    '2:27  services.web.ports[0]   "80:x": "x" is not a port; expected [[ADDRESS:]HOST:]CONTAINER[/tcp|udp], numbers or ranges',
  ],
  [
    "ranges of two lengths",
    web('ports: ["1-3:1-2"]'),
    '2:27  services.web.ports[0]   "1-3:1-2": the two ranges have different lengths; expected [[ADDRESS:]HOST:]CONTAINER[/tcp|udp], numbers or ranges',
  ],
  [
    "a bare duration",
    web("stop_grace_period: 10"),
    "2:38  services.web.stop_grace_period   is the number 10; expected a duration such as 1m30s (h, m, s, ms); did you mean 10s?",
  ],
  [
    "restart: false",
    web("restart: false"),
    '2:28  services.web.restart   is false; expected "no", "always", "on-failure[:TIMES]" or "unless-stopped"; did you mean "no"?',
  ],
  [
    "a size in words",
    web("mem_limit: lots"),
    '2:30  services.web.mem_limit   is "lots"; expected a size such as 512m',
  ],
  [
    "a volume that is not declared",
    "services:\n  web: {image: x, volumes: ['dta:/d']}\nvolumes: {data: }\n",
    '2:29  services.web.volumes[0]   there is no volume "dta" in the file; expected one of the top-level volumes: data; did you mean data?',
  ],
  [
    "a missing service",
    "services:\n  web: {image: x, depends_on: [dbb]}\n  db: {image: x}\n",
    '2:32  services.web.depends_on.dbb   there is no service "dbb"; did you mean db?',
  ],
  [
    "a circle of dependencies",
    "services:\n  a: {image: x, depends_on: [b]}\n  b: {image: x, depends_on: [c]}\n  c: {image: x, depends_on: [a]}\n",
    "4:30  services.c.depends_on.a   depends on itself: a → b → c → a",
  ],
  [
    "a service that waits for itself",
    "services:\n  a: {image: x, network_mode: 'service:a'}\n",
    "2:17  services.a.network_mode   depends on itself: a → a",
  ],
  [
    "a required variable",
    web("user: '${UID:?say who}'"),
    "2:26  services.web.user   the variable UID is required and not set: say who",
  ],
  [
    "a broken variable",
    web("user: '${UID'"),
    "2:26  services.web.user   is not a valid use of a variable: the ${ is not closed; expected ${NAME}, ${NAME:-default}, ${NAME:?message}, ${NAME:+text}, or $$ for a dollar",
  ],
  [
    "two networks ways",
    `${web("network_mode: host, networks: [a]")}networks: {a: }\n`,
    "2:19  services.web.network_mode   network_mode and networks exclude each other",
  ],
  [
    "twins that differ",
    web("cpus: 1, deploy: {resources: {limits: {cpus: '2'}}}"),
    "2:19  services.web.cpus   differs from deploy.resources.limits.cpus: say it in one place",
  ],
  [
    "one name for two copies",
    web("container_name: a, scale: 2"),
    "2:19  services.web.container_name   2 copies cannot have one name",
  ],
  [
    "a test of a third kind",
    web("healthcheck: {test: [curl, x]}"),
    '2:33  services.web.healthcheck.test   begins with "curl"; expected a list that begins with "CMD", "CMD-SHELL" or "NONE"',
  ],
  [
    "a secret in the file",
    "services: {w: {image: x}}\nsecrets: {s: {content: x}}\n",
    "2:15  secrets.s.content   unknown key; expected file or environment, so that no secret stands in the file",
  ],
  [
    "a config without content",
    "services: {w: {image: x}}\nconfigs: {s: {}}\n",
    "2:14  configs.s   one of file, environment, content is needed",
  ],
  [
    "an external volume with a driver",
    "services: {w: {image: x}}\nvolumes: {s: {external: true, driver: x}}\n",
    "2:31  volumes.s.driver   external and driver exclude each other",
  ],
  [
    "a probe with two questions",
    web("x-berth: {probes: {ready: {http: {port: 1}, tcp: {port: 2}}}}"),
    "2:45  services.web.x-berth.probes.ready   a probe asks in one way; expected one of http, tcp, grpc, exec",
  ],
  [
    "unknown words of x-berth",
    web("x-berth: {prob: {}, drain: 5}"),
    "2:29  services.web.x-berth.prob   unknown key; did you mean probes?",
    "2:46  services.web.x-berth.drain   is the number 5; expected a duration such as 1m30s (h, m, s, ms); did you mean 5s?",
  ],
  [
    "a route whose host is no host",
    web("x-berth: {routes: [{host: 'a b'}]}"),
    '2:45  services.web.x-berth.routes[0].host   is "a b"; expected a host name such as shop.example.com, *.example.com or *',
  ],
];

for (const [name, text, ...expected] of CASES) {
  test(`${name} is refused with its place`, () => {
    assert.deepEqual(problems(text).toSorted(), expected.toSorted());
  });
}

test("all problems of several kinds come in one go", () => {
  assert.equal(
    problems(
      `${web("bad1: 1, ports: [x], depends_on: [y], user: '${U?}'")}volumes: {v: {drver: x}}\n`,
    ).length,
    5,
  );
});

test("missing variables are warnings with the place of the variable", () => {
  const result = load(web('user: "a${ONE}-$TWO"'));
  assert.ok(result.ok);
  assert.deepEqual(
    result.warnings.map((one) => `${one.line}:${one.column} ${one.path} ${one.message}`),
    [
      "2:27 services.web.user the variable ONE is not set; an empty text stands for it",
      "2:34 services.web.user the variable TWO is not set; an empty text stands for it",
    ],
  );
});

test("keys that are not honoured are warned of with what happens instead", () => {
  const result = load(`version: "3"\n${web("container_name: a, isolation: default")}`);
  assert.ok(result.ok);
  assert.deepEqual(
    result.warnings.map((one) => `${one.line}:${one.column} ${one.path}: ${one.message}`),
    [
      "1:1 version: is not honoured: it is obsolete and says nothing; remove it",
      "3:19 services.web.container_name: is honoured in part: it is a name in DNS; containers at the engine have names of the platform",
    ],
  );
});

test("paths that leave the project are marked", () => {
  const result = load(`services:
  web:
    image: x
    volumes: [./in:/a, ../out:/b, /abs:/c, ./a/../../up:/d]
    build: ..
configs: {c: {file: ../c}}`);
  assert.ok(result.ok);
  const { services, configs } = result.project;
  const marks = services["web"]?.volumes?.map((mount) => mount.type === "bind" && mount.source);
  assert.deepEqual(marks, [
    { path: "/p/in", original: "./in", relative: true, escapesProject: false },
    { path: "/out", original: "../out", relative: true, escapesProject: true },
    { path: "/abs", original: "/abs", relative: false, escapesProject: false },
    { path: "/up", original: "./a/../../up", relative: true, escapesProject: true },
  ]);
  const context = services["web"]?.build?.context;
  assert.ok(context?.kind === "local" && context.directory.escapesProject);
  assert.ok(configs["c"]?.file?.escapesProject);
});

// What refusing them costs is measured by bench/load.bench.ts.
test("limits are named, once each", () => {
  const laughs = ["x-a: &a [x, x, x, x, x, x, x, x, x, x]"];
  for (const [index, name] of [..."bcdefghi"].entries()) {
    const before = "abcdefgh"[index];
    laughs.push(
      `x-${name}: &${name} [${Array.from({ length: 10 }, () => `*${before}`).join(", ")}]`,
    );
  }
  assert.match(
    problems(laughs.join("\n"))[0] ?? "",
    new RegExp(`aliases repeat more than ${ALIAS_NODES_MAX} values`),
  );
  assert.match(
    problems(`x-a: ${"[".repeat(50_000)}`).join(),
    new RegExp(`deeper than ${DEPTH_MAX} levels|is not YAML`),
  );
  assert.match(
    problems(`x-a: ${"{a: ".repeat(200)}1${"}".repeat(200)}`)[0] ?? "",
    /deeper than 100 levels/,
  );
  assert.match(problems("#".repeat(FILE_BYTES_MAX + 1))[0] ?? "", /is larger than 10 MB/);
  const ranges = `services: {w: {image: x, ports: [${'"1-65535", '.repeat(100_000)}]}}`;
  assert.match(problems(ranges)[0] ?? "", /stand for more than 200000 ports/);
  const many = Array.from({ length: 4000 }, (_, index) => `  s${index}: {extends: base}\n`).join(
    "",
  );
  const large = `services:\n  base: {image: x, cap_add: [${"x, ".repeat(3000)}]}\n${many}`;
  assert.match(problems(large)[0] ?? "", /says more than 5000000 values/);
  assert.match(problems("a\0b")[0] ?? "", /is not text/);
});
