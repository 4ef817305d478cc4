/** Builds, files in memory, logs, hooks; and that whole files give specs that the protocol takes. */

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { parseAs, StackSpec } from "@berth/protocol";
import fc from "fast-check";
import { stringify } from "yaml";
import { loadCompose } from "../load/load.ts";
import { nodeFiles } from "../node-files.ts";
import { compileSample, compileWeb, problemWords, sampleDigest } from "./compile-sample.ts";
import { compileStack, objectWishes } from "./compile-stack.ts";
import type { FoundObject } from "./file-objects.ts";

test("a build: context by digest, arguments, target; the image gets the service's name", () => {
  const { web, said } = compileWeb(
    "build: {context: ./src, dockerfile: d/Dockerfile, target: t, args: {A: b, C: }, no_cache: true, shm_size: 1m}\nplatform: linux/arm64",
    { found: { src: "directory" } },
  );
  assert.deepEqual([web.image, web.pullPolicy, said], ["berth/shop-web", "build", []]);
  assert.deepEqual(web.build, {
    contextDigest: sampleDigest("src"),
    dockerfile: "d/Dockerfile",
    target: "t",
    args: { A: "b" },
    labels: {},
    noCache: true,
    shmSizeBytes: 1_048_576,
    platform: "linux/arm64",
  });
});

test("one stage without a cache means the whole image without it, and says so", () => {
  const filtered = compileWeb("build: {context: ./src, no_cache_filter: [deps]}", {
    found: { src: "directory" },
  });
  assert.equal(filtered.web.build?.noCache, true);
  const empty = compileWeb("build: {context: ./src, no_cache_filter: []}", {
    found: { src: "directory" },
  });
  assert.equal(empty.web.build?.noCache, undefined);
});

test("a build without a Dockerfile key takes the usual name; both keys keep the image's", () => {
  const { web } = compileWeb("build: ./src\nimage: registry:5000/web:1", {
    found: { src: "directory" },
  });
  assert.deepEqual([web.build?.dockerfile, web.image], ["Dockerfile", "registry:5000/web:1"]);
});

test("what cannot be built is an error at its key", () => {
  const missing = compileWeb("build: ./src").said;
  assert.deepEqual(missing, [
    'error services.web.build: the build context "./src" is no directory',
  ]);
  const remote = compileWeb("build: https://example.com/a.git").said;
  assert.match(remote[0] ?? "", /only local build contexts/);
});

test("configs and secrets: content, files, variables, targets and owners", () => {
  const result = compileSample(
    `services:
  web:
    image: x
    configs: [inline, {source: file, target: /etc/f, uid: "1", gid: "2", mode: 0o400}]
    secrets: [key, {source: variable, target: short}]
configs: {inline: {content: "a$$b"}, file: {file: ./f.conf}}
secrets: {key: {file: ./key}, variable: {environment: TOKEN}}
`,
    { found: { "f.conf": "file", key: "file" }, environment: { TOKEN: "té" } },
  );
  assert.deepEqual(problemWords(result), []);
  const { configs, secrets, services } = result.spec;
  assert.deepEqual(configs, {
    inline: { digest: sampleDigest("a$b"), sizeBytes: 3 },
    file: { digest: sampleDigest("f.conf"), sizeBytes: 1 },
  });
  const base64 = (text: string) => Buffer.from(text).toString("base64");
  assert.deepEqual(secrets, {
    key: { content: base64("content of /home/me/shop/key") },
    variable: { content: base64("té") },
  });
  assert.deepEqual(services["web"]?.configs, [
    { name: "inline", target: "/inline", uid: 0, gid: 0, mode: 0o444 },
    { name: "file", target: "/etc/f", uid: 1, gid: 2, mode: 0o400 },
  ]);
  assert.deepEqual(services["web"]?.secrets, [
    { name: "key", target: "/run/secrets/key", uid: 0, gid: 0, mode: 0o444 },
    { name: "variable", target: "/run/secrets/short", uid: 0, gid: 0, mode: 0o444 },
  ]);
});

test("a config without content is an error where it is used, a warning where not", () => {
  const result =
    compileSample(`services: {web: {image: x, configs: [a], secrets: [{source: s, uid: www}]}}
configs: {a: {file: ./a}, b: {file: ./b}}
secrets: {s: {environment: NOT_SET}}
`);
  assert.deepEqual(problemWords(result), [
    'error services.web.secrets.0.uid: "www" is no number; names are not known outside the image',
    'error configs.a: the file "./a" cannot be read',
    'warning configs.b: the file "./b" cannot be read; nothing uses it',
    "error secrets.s: the variable NOT_SET is not set",
  ]);
});

test("external configs and secrets are asked for by their name; what nobody uses is left out", () => {
  const { spec, problems } =
    compileSample(`services: {web: {image: x, configs: [a, b], secrets: [s, t]}}
configs: {a: {external: true}, b: {file: ./compose.yaml, name: other}, c: {external: true}}
secrets: {s: {external: true, name: shop.key}, t: {external: true, name: -dash}, u: {external: true}}
`);
  assert.deepEqual(spec.configs["a"], { external: { name: "a" } });
  assert.deepEqual(spec.secrets["s"], { external: { name: "shop.key" } });
  assert.deepEqual([Object.keys(spec.configs).includes("c"), "u" in spec.secrets], [false, false]);
  const words = problems.map(({ severity, path }) => `${severity} ${path.join(".")}`);
  assert.ok(words.includes("warning configs.b.name") && words.includes("error secrets.t.name"));
  assert.equal(problems.filter(({ path }) => path.includes("a") || path.includes("s")).length, 0);
});

test("log limits, and drivers that are not used", () => {
  const of = (lines: string) => compileWeb(lines);
  assert.deepEqual(of("tty: false").web.log, { maxBytes: 10_485_760, maxFiles: 3 });
  const written = of("logging: {driver: json-file, options: {max-size: 1m, max-file: '5'}}");
  assert.deepEqual([written.web.log, written.said], [{ maxBytes: 1_048_576, maxFiles: 5 }, []]);
  assert.deepEqual(of("logging: {options: {max-size: 10, max-file: none}}").web.log, {
    maxBytes: 4_096,
    maxFiles: 3,
  });
  assert.match(of("logging: {driver: syslog}").said.join(), /the driver syslog is not used/);
});

test("commands around a life, with who runs them and where", () => {
  const { web, said } = compileWeb(
    "post_start: [{command: [a, b]}]\npre_stop: [{command: c d, user: root, working_dir: /w, privileged: true, environment: [A=1]}]\nstop_grace_period: 3s\nx-berth: {drain: 5s}",
  );
  assert.deepEqual(web.postStart, [["a", "b"]]);
  assert.deepEqual(web.preStop, [
    {
      command: ["c", "d"],
      user: "root",
      workingDir: "/w",
      environment: { A: "1" },
      privileged: true,
    },
  ]);
  assert.deepEqual([web.stopGraceMs, web.drainMs, said], [3_000, 5_000, []]);
});

test("taints that do not keep copies away", () => {
  const { web, said } = compileWeb("x-berth: {tolerations: [gpu, team=data, 'empty=']}");
  const tolerations = [{ key: "gpu" }, { key: "team", value: "data" }, { key: "empty", value: "" }];
  assert.deepEqual([web.tolerations, said], [tolerations, []]);
});

test("weights of a service go before those of its stack, word by word", () => {
  const rest = "x-berth: {weights: {spread: 30, fit: 2}}\n";
  const { web } = compileWeb("x-berth: {weights: {fit: 0}}", { rest });
  assert.deepEqual(web.weights, { spread: 30, fit: 0 });
  assert.equal(compileWeb("tty: true").web.weights, undefined);
});

test("a class, and devices in part and by model, which go before a count of their kind", () => {
  const { web } = compileWeb(
    "gpus: [{count: 2}]\nx-berth: {class: burstable, devices: [{kind: gpu, share: 0.25, models: [A100]}, {kind: fpga}]}",
  );
  assert.equal(web.class, "burstable");
  assert.deepEqual(web.devices, [
    { kind: "gpu", count: 1, shareMillis: 250, models: ["A100"] },
    { kind: "fpga", count: 1, shareMillis: 1_000, models: [] },
  ]);
  assert.equal(web.countables, undefined);
});

test("the strategy of a service goes before that of its stack", () => {
  assert.equal(compileWeb("x-berth: {strategy: tightest}").web.strategy, "tightest");
  assert.equal(compileWeb("tty: true").web.strategy, undefined);
  const rest = "x-berth: {strategy: cheapest}\n";
  assert.equal(compileWeb("tty: true", { rest }).web.strategy, "cheapest");
  assert.equal(compileWeb("x-berth: {strategy: room}", { rest }).web.strategy, "room");
});

test("what becomes of a copy without contact", () => {
  const of = (lines: string) => compileWeb(lines).web.failover;
  assert.deepEqual(
    ["tty: false", "x-berth: {failover: wait}", "x-berth: {failover: fence}"].map(of),
    [undefined, undefined, "fence"],
  );
});

test("a build with everything that is said of it", () => {
  const lines = `build:
  context: ./src
  dockerfile_inline: FROM scratch
  tags: [a:1, b:2]
  cache_from: [c:3]
  ulimits: {nofile: 20}
  extra_hosts: ["db:10.0.0.1", "log=10.0.0.2"]`;
  const { web, said } = compileWeb(lines, { found: { src: "directory" } });
  const { contextDigest: _digest, ...build } = web.build ?? {};
  assert.deepEqual(said, []);
  assert.deepEqual(build, {
    dockerfile: ".berth-inline.Dockerfile",
    dockerfileText: "FROM scratch",
    args: {},
    labels: {},
    extraHosts: ["db:10.0.0.1", "log:10.0.0.2"],
    tags: ["a:1", "b:2"],
    cacheFrom: ["c:3"],
    ulimits: { nofile: { soft: 20, hard: 20 } },
  });
});

test("environment: unset variables are absent, empty ones are empty", () => {
  const { web } = compileWeb("environment: [A, B=, C=1, D]", { environment: { D: "x y" } });
  assert.deepEqual(web.environment, { B: "", C: "1", D: "x y" });
});

test("values of the environment arrive byte for byte", () => {
  const value = fc.string({ unit: "binary", maxLength: 40 }).filter((text) => {
    // YAML cannot carry lone surrogates or control characters but tab and line feed unescaped; NUL ends a C string.
    return text.isWellFormed() && !text.includes("\0");
  });
  fc.assert(
    fc.property(fc.dictionary(fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,8}$/), value), (values) => {
      const environment = Object.fromEntries(
        Object.entries(values).map(([key, text]) => [key, text.replaceAll("$", "$$$$")]),
      );
      const yaml = stringify(
        { services: { web: { image: "x", environment } } },
        { defaultStringType: "QUOTE_DOUBLE", lineWidth: 0 },
      );
      assert.deepEqual(compileSample(yaml).spec.services["web"]?.environment, { ...values });
    }),
    { seed: 20_261_120, numRuns: 150 },
  );
});

const ROOT = join(import.meta.dirname, "../../../..");
const FILES = [
  ...readdirSync(join(ROOT, "examples")).map((name) => `examples/${name}/compose.yaml`),
  ...readdirSync(join(ROOT, "packages/compose/testdata"), { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => `packages/compose/testdata/${name}/compose.yaml`),
];

for (const file of FILES) {
  test(`${file} gives a spec that the protocol takes`, () => {
    const loaded = loadCompose({
      files: [join(ROOT, file)],
      environment: {},
      fs: nodeFiles,
      profiles: ["*"],
    });
    assert.ok(loaded.ok, JSON.stringify(loaded.ok ? "" : loaded.problems));
    const objects = new Map<string, FoundObject>();
    for (const { path, use } of objectWishes(loaded.project)) {
      const common = { digest: sampleDigest(path), sizeBytes: 1 };
      const isFile = use === "config" || use === "secret";
      objects.set(
        path,
        isFile ? { kind: "file", mode: 0o644, ...common } : { kind: "directory", ...common },
      );
    }
    const { spec } = compileStack({
      project: loaded.project,
      stack: loaded.project.name,
      objects,
      inlineDigest: (text) => ({ digest: sampleDigest(text), sizeBytes: text.length }),
      secretContent: (path) => readFileSync(path).toString("base64"),
    });
    assert.deepEqual(parseAs(StackSpec, spec, file), spec);
  });
}
