// biome-ignore-all lint/suspicious/noTemplateCurlyInString: the words of the language under test
import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryFiles } from "../files.ts";
import type { ComposeProject } from "../model/project-model.ts";
import { formatProblem } from "../problem.ts";
import { type LoadOptions, type LoadResult, loadCompose } from "./load.ts";

type Files = Readonly<Record<string, string>>;

function load(files: Files, options: Partial<LoadOptions> = {}): LoadResult {
  return loadCompose({
    files: ["/p/compose.yaml"],
    environment: {},
    fs: memoryFiles(files),
    ...options,
  });
}

function project(files: Files, options: Partial<LoadOptions> = {}): ComposeProject {
  const result = load(files, options);
  assert.ok(result.ok, result.ok ? "" : result.problems.map(formatProblem).join("\n"));
  return result.project;
}

function problems(files: Files, options: Partial<LoadOptions> = {}): readonly string[] {
  const result = load(files, options);
  return result.ok ? [] : result.problems.map(formatProblem);
}

test("a service extends another one of its file and of another file, in a chain", () => {
  const { services } = project({
    "/p/compose.yaml": `services:
  web:
    extends: {service: base, file: common/base.yaml}
    environment: {B: web}
    command: own
  api: {extends: web, image: api}`,
    "/p/common/base.yaml": `services:
  base: {extends: root, environment: [A=base, B=base], volumes: ["./data:/d"], ports: ["1:1"]}
  root: {image: root, command: root, cap_add: [X]}`,
  });
  assert.deepEqual(services["web"]?.environment, { A: "base", B: "web" });
  assert.deepEqual(services["web"]?.command, ["own"]);
  assert.equal(services["web"]?.image, "root");
  assert.equal(services["api"]?.image, "api");
  const [mount] = services["api"]?.volumes ?? [];
  assert.deepEqual(mount?.type === "bind" && mount.source, {
    path: "/p/common/data",
    original: "./data",
    relative: true,
    escapesProject: false,
  });
});

test("a circle of extends is drawn as a path", () => {
  assert.deepEqual(
    problems({
      "/p/compose.yaml":
        "services:\n  a: {image: x, extends: b}\n  b: {image: x, extends: c}\n  c: {image: x, extends: a}\n",
    }),
    ["/p/compose.yaml:2:26  services.a.extends   extends itself: a → b → c → a"],
  );
  assert.deepEqual(
    problems({
      "/p/compose.yaml": "services:\n  a: {image: x, extends: {service: b, file: b.yaml}}\n",
      "/p/b.yaml": "services:\n  b: {extends: {service: a, file: compose.yaml}}\n",
    }),
    [
      "/p/compose.yaml:2:26  services.a.extends   extends itself: a (/p/compose.yaml) → b (/p/b.yaml) → a (/p/compose.yaml)",
    ],
  );
});

test("what extends names must be there", () => {
  assert.deepEqual(
    problems({
      "/p/compose.yaml": `services:
  a: {image: x, extends: bse}
  base: {image: x}
  b: {image: x, extends: {service: web, file: other.yaml}}
  c: {image: x, extends: {service: web, file: "https://example.com/x.yaml"}}
  d: {image: x, extends: {file: other.yaml, servce: x}}`,
    }),
    [
      "/p/compose.yaml:2:26  services.a.extends   there is no service bse in /p/compose.yaml; did you mean base?",
      "/p/compose.yaml:4:47  services.b.extends.file   /p/other.yaml does not exist or is not readable",
      "/p/compose.yaml:5:47  services.c.extends.file   is a remote file, which is not loaded; expected a copy of it beside this file, or a policy that allows its address (https only): berth deploy --allow-remote PREFIX",
      "/p/compose.yaml:6:26  services.d.extends   the key service is missing or not text",
      "/p/compose.yaml:6:45  services.d.extends.servce   unknown key; did you mean service?",
    ],
  );
});

test("an included file has its own directory and environment", () => {
  const { services, volumes } = project(
    {
      "/p/compose.yaml":
        "include: [sub/compose.yaml]\nservices:\n  web: {image: 'web:${TAG}', depends_on: [db]}\n",
      "/p/.env": "TAG=top\n",
      "/p/sub/compose.yaml":
        "services:\n  db: {image: 'db:${TAG}-${OWN}', build: ., environment: [OWN], volumes: ['data:/d']}\nvolumes: {data: }\n",
      "/p/sub/.env": "TAG=sub\nOWN=own\n",
    },
    { environment: {} },
  );
  assert.equal(services["web"]?.image, "web:top");
  assert.equal(services["db"]?.image, "db:top-own");
  assert.deepEqual(services["db"]?.environment, { OWN: "own" });
  assert.deepEqual(services["db"]?.build?.context, {
    kind: "local",
    directory: { path: "/p/sub", original: ".", relative: true, escapesProject: false },
  });
  assert.equal(volumes["data"]?.name, "p_data");
});

test("includes that collide or run in a circle are named", () => {
  assert.deepEqual(
    problems({
      "/p/compose.yaml":
        "include:\n  - a.yaml\n  - path: [b.yaml]\nservices:\n  web: {image: mine}\n",
      "/p/a.yaml": "services:\n  web: {image: other}\n",
      "/p/b.yaml": "include: [c.yaml]\nservices:\n  b: {image: b}\n",
      "/p/c.yaml": "include: [b.yaml]\n",
    }),
    [
      "/p/c.yaml:1:11  include[0]   includes itself: /p/b.yaml → /p/c.yaml → /p/b.yaml",
      "/p/compose.yaml:5:3  services.web   conflicts with the one that is included from /p/a.yaml:2",
    ],
  );
});

test("later files override, append, reset and replace by the specification's rules", () => {
  const { services } = project(
    {
      "/p/a.yaml": `services:
  web:
    image: a
    command: [a, b]
    environment: {A: 1, B: 2}
    ports: ["80:80", "81:81"]
    volumes: ["x:/x", "y:/y"]
    dns: 1.1.1.1
    labels: [one=1]
    depends_on: [db]
    logging: {driver: json-file, options: {max-size: 1m}}
    cap_add: [A]
    healthcheck: {test: [CMD, a], retries: 3}
  db: {image: db}
volumes: {x: , y: , z: }`,
      "/p/b.yaml": `services:
  web:
    command: [c]
    environment: [B=3, C]
    ports: !override ["90:90"]
    volumes: ["z:/y"]
    dns: [8.8.8.8]
    labels: {two: 2}
    depends_on: {db: {condition: service_healthy}}
    logging: {driver: syslog}
    cap_add: !reset []
    healthcheck: {test: [CMD, b]}`,
    },
    { files: ["/p/a.yaml", "/p/b.yaml"], environment: { C: "from outside" } },
  );
  const web = services["web"];
  assert.deepEqual(web?.command, ["c"]);
  assert.deepEqual(web?.environment, { A: "1", B: "3", C: "from outside" });
  assert.deepEqual(
    web?.ports?.map((port) => port.target),
    [90],
  );
  assert.deepEqual(
    web?.volumes?.map((mount) => [mount.target, mount.type === "volume" && mount.source]),
    [
      ["/x", "x"],
      ["/y", "z"],
    ],
  );
  assert.deepEqual(web?.dns, ["1.1.1.1", "8.8.8.8"]);
  assert.deepEqual(web?.labels, { one: "1", two: "2" });
  assert.deepEqual(web?.dependsOn, { db: { condition: "service_healthy", required: true } });
  assert.deepEqual(web?.logging, { driver: "syslog" });
  assert.equal(web?.capAdd, undefined);
  assert.deepEqual(web?.healthcheck, { test: ["CMD", "b"], retries: 3 });
});

test("profiles choose services; what they leave out may be depended on only when not required", () => {
  const files = {
    "/p/compose.yaml": `services:
  web: {image: x, depends_on: {tool: {condition: service_started, required: false}}}
  tool: {image: x, profiles: [debug]}
  lost: {image: x, profiles: [b], depends_on: [tool]}`,
  };
  assert.deepEqual(Object.keys(project(files).services), ["web"]);
  assert.deepEqual(project(files).disabledServices, ["tool", "lost"]);
  assert.deepEqual(Object.keys(project(files, { profiles: ["*"] }).services), [
    "web",
    "tool",
    "lost",
  ]);
  assert.deepEqual(
    Object.keys(project(files, { environment: { COMPOSE_PROFILES: "debug, x" } }).services),
    ["web", "tool"],
  );
  assert.deepEqual(project(files).profiles, ["b", "debug"]);
  assert.deepEqual(problems(files, { profiles: ["b"] }), [
    '/p/compose.yaml:4:48  services.lost.depends_on.tool   the service "tool" belongs to no active profile; expected an active profile, or required: false',
  ]);
});

test("env files give values under the service's own, required ones must be there", () => {
  const files = {
    "/p/compose.yaml": `services:
  web:
    image: x
    env_file: [a.env, {path: raw.env, format: raw}, {path: none.env, required: false}]
    environment: {B: own}`,
    "/p/a.env": "A=1\nB=file\nD=${A}2\n",
    "/p/raw.env": "R='${A}' # x\nA=raw\n",
  };
  assert.deepEqual(project(files).services["web"]?.environment, {
    A: "raw",
    B: "own",
    D: "12",
    R: "'${A}' # x",
  });
  assert.deepEqual(
    problems({ "/p/compose.yaml": "services:\n  web: {image: x, env_file: no.env}\n" }),
    ["/p/compose.yaml:2:19  services.web.env_file   /p/no.env does not exist or is not readable"],
  );
});
