/** For tests: from YAML text to the compiled stack, with what lies beside it told as data. */

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import type { ServiceSpec } from "@berth/protocol";
import { memoryFiles } from "../files.ts";
import { loadCompose } from "../load/load.ts";
import { type CompileResult, compileStack } from "./compile-stack.ts";
import type { FoundObject } from "./file-objects.ts";

/** The digest of a text, as collected objects have it. */
export function sampleDigest(text: string): string {
  return `sha256:${createHash("sha256").update(text).digest("hex")}`;
}

/** `./html` of the project's folder, as `directory` or `file`; its digest is that of its path. */
export interface SampleOptions {
  readonly found?: Readonly<Record<string, "file" | "directory">>;
  readonly files?: Readonly<Record<string, string>>;
  readonly environment?: Readonly<Record<string, string>>;
}

const FOLDER = "/home/me/shop";

/** Loads `yaml` as /home/me/shop/compose.yaml and compiles it. */
export function compileSample(yaml: string, options: SampleOptions = {}): CompileResult {
  const file = `${FOLDER}/compose.yaml`;
  const loaded = loadCompose({
    files: [file],
    environment: options.environment ?? {},
    fs: memoryFiles({ [file]: yaml, ...options.files }),
  });
  assert.ok(loaded.ok, JSON.stringify(loaded.ok ? "" : loaded.problems));
  const objects = new Map(
    Object.entries(options.found ?? {}).map(([path, kind]) => [
      `${FOLDER}/${path}`,
      foundObject(path, kind),
    ]),
  );
  return compileStack({
    project: loaded.project,
    stack: "shop",
    objects,
    inlineDigest: (text) => ({ digest: sampleDigest(text), sizeBytes: Buffer.byteLength(text) }),
    secretContent: (path) => Buffer.from(`content of ${path}`).toString("base64"),
  });
}

function foundObject(path: string, kind: "file" | "directory"): FoundObject {
  const common = { digest: sampleDigest(path), sizeBytes: 1 };
  return kind === "file" ? { kind, mode: 0o640, ...common } : { kind, ...common };
}

/** The service `web` of a file that has nothing else, from the lines below its name. */
export function compileWeb(
  lines: string,
  options: SampleOptions & { readonly rest?: string } = {},
): { readonly web: ServiceSpec; readonly result: CompileResult; readonly said: string[] } {
  const body = lines
    .split("\n")
    .map((line) => `    ${line}`)
    .join("\n");
  const image = /^(image|build):/m.test(lines) ? "" : "    image: nginx\n";
  const yaml = `services:\n  web:\n${image}${body}\n${options.rest ?? ""}`;
  const result = compileSample(yaml, options);
  const web = result.spec.services["web"];
  assert.ok(web !== undefined);
  return { web, result, said: problemWords(result) };
}

/** `error services.web.ports.0: text`, a line each. */
export function problemWords({ problems }: CompileResult): string[] {
  return problems.map(({ severity, path, message }) => `${severity} ${path.join(".")}: ${message}`);
}
