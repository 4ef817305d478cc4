/** Remote files: refused with what to do, unless a policy has their text. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { memoryFiles } from "../files.ts";
import { formatProblem } from "../problem.ts";
import { type LoadOptions, loadCompose } from "./load.ts";

const URL_OF_DB = "https://example.com/db.yaml";

function load(text: string, remote?: LoadOptions["remote"]) {
  return loadCompose({
    files: ["/p/c.yaml"],
    environment: {},
    fs: memoryFiles({ "/p/c.yaml": text }),
    ...(remote === undefined ? {} : { remote }),
  });
}

const INCLUDE = `include: ["${URL_OF_DB}"]\nservices:\n  web: {image: x, depends_on: [db]}\n`;
const EXTENDS = `services:\n  web: {extends: {file: "${URL_OF_DB}", service: db}}\n`;
const texts = (url: string) =>
  url === URL_OF_DB ? "services:\n  db: {image: y, volumes: ['./data:/d']}\n" : undefined;

test("without a policy nothing remote is loaded", () => {
  for (const [text, place] of [
    [INCLUDE, "1:11  include[0]"],
    [EXTENDS, "2:25  services.web.extends.file"],
  ] as const) {
    const result = load(text);
    const [first] = result.ok ? [] : result.problems.map(formatProblem);
    assert.ok(
      first?.startsWith(`/p/c.yaml:${place}   is a remote file, which is not loaded`),
      first,
    );
    assert.ok(first?.includes("--allow-remote"), first);
  }
});

test("with one, its relative paths are those of the file that names it", () => {
  for (const [text, service] of [
    [INCLUDE, "db"],
    [EXTENDS, "web"],
  ] as const) {
    const result = load(text, texts);
    assert.ok(result.ok, result.ok ? "" : result.problems.map(formatProblem).join("\n"));
    const [mount] = result.project.services[service]?.volumes ?? [];
    assert.equal(mount?.type === "bind" ? mount.source.path : undefined, "/p/data");
  }
});

test("other addresses, and other ways than https, stay refused", () => {
  for (const url of [
    "https://other.example/x.yaml",
    "http://example.com/db.yaml",
    "git@example.com:x.git",
  ]) {
    assert.ok(!load(`include: ["${url}"]\nservices: {web: {image: x}}\n`, texts).ok, url);
  }
});
