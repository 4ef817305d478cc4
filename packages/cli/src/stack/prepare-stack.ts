/**
 * From a loaded stack file to what the server takes: collects file objects, compiles, uploads what the
 * server does not have.
 */

import { readFileSync } from "node:fs";
import { type ComposeProblem, formatProblem } from "@berth/compose";
import { compileStack, objectWishes } from "@berth/compose/stack/compile-stack";
import { type ApiClient, ProtocolError, type StackSpec } from "@berth/protocol";
import type { CommandInput } from "../command.ts";
import { type CollectedObject, collectObjects, digestOf } from "./collect-objects.ts";
import { type LoadedStack, StackFileError, shortened, stackName } from "./load-stack.ts";

export interface PreparedStack {
  readonly spec: StackSpec;
  readonly objects: readonly CollectedObject[];
  readonly warnings: readonly ComposeProblem[];
  /** `compose.yaml:3:5`: where the file says something, for problems that the server finds. */
  readonly placeOf: (path: string) => string | undefined;
}

/** @throws StackFileError for what the file says and the platform cannot do. */
export async function prepareStack(
  input: CommandInput,
  loaded: LoadedStack,
): Promise<PreparedStack> {
  const stack = stackName(loaded.project.name);
  const { found, objects } = await collectObjects(objectWishes(loaded.project));
  const all = new Map(objects);
  const { spec, problems } = compileStack({
    project: loaded.project,
    stack,
    objects: found,
    inlineDigest: (content) => {
      const bytes = Buffer.from(content, "utf8");
      const digest = digestOf(bytes);
      all.set(digest, { digest, bytes });
      return { digest, sizeBytes: bytes.length };
    },
    secretContent: (path) => readFileSync(path).toString("base64"),
  });
  const placed = problems.map((problem): ComposeProblem => {
    const path = textOfPath(problem.path);
    const place = loaded.sources.find(path) ?? { file: "", line: 1, column: 1 };
    return { ...place, path, message: problem.message, severity: problem.severity };
  });
  const errors = placed.filter(({ severity }) => severity === "error");
  if (errors.length > 0) {
    const shown = errors.map((problem) => formatProblem(shortened(problem, input)));
    const count = `${shown.length} error${shown.length === 1 ? "" : "s"}, nothing was changed`;
    throw new StackFileError(errors, [...shown, count]);
  }
  const warnings = [...loaded.warnings, ...placed];
  const placeOf = (path: string) => {
    const place = loaded.sources.find(path);
    if (place === undefined) return undefined;
    const problem = { ...place, path, message: "", severity: "error" as const };
    const { file, line, column } = shortened(problem, input);
    return `${file}:${line}:${column}`;
  };
  const objectList = [...all.values()];
  return { spec: { ...spec, source: loaded.text }, objects: objectList, warnings, placeOf };
}

/** A refusal of the server, its problems with their places in the file. */
export function withPlaces(error: unknown, { placeOf }: Pick<PreparedStack, "placeOf">): unknown {
  if (!(error instanceof ProtocolError)) return error;
  const { problems } = error.details;
  if (!Array.isArray(problems)) return error;
  const placed = problems.map((problem: unknown) => {
    const path =
      typeof problem === "object" && problem !== null && "path" in problem ? problem.path : "";
    const place = typeof path === "string" && path !== "" ? placeOf(path) : undefined;
    return place === undefined ? problem : { ...Object(problem), place };
  });
  const details = { ...error.details, problems: placed };
  return new ProtocolError(error.code, error.message, details, { cause: error });
}

/** `services.web.ports[0]` */
function textOfPath(path: readonly (string | number)[]): string {
  return path.reduce<string>(
    (text, step) =>
      typeof step === "number" ? `${text}[${step}]` : text === "" ? step : `${text}.${step}`,
    "",
  );
}

/** Uploads what the server does not have yet. Answers the number of bytes that travelled. */
export async function uploadObjects(
  api: ApiClient,
  objects: readonly CollectedObject[],
  signal: AbortSignal,
): Promise<number> {
  if (objects.length === 0) return 0;
  const digests = objects.map(({ digest }) => digest);
  const { missing } = await api.call("hasBlobs", { params: {}, body: { digests }, signal });
  const wanted = new Set(missing);
  let sent = 0;
  for (const { digest, bytes } of objects) {
    if (!wanted.has(digest)) continue;
    await api.call("putBlob", { params: { digest }, bytes, signal });
    sent += bytes.length;
  }
  return sent;
}
