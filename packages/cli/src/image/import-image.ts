/** Hands a root file system to the engine as an image (`docker import`, without the docker program). */

import { spawn } from "node:child_process";
import { request } from "node:http";
import { text } from "node:stream/consumers";
import { ProtocolError } from "@berth/protocol";
import { askEngine } from "../platform/local-engine.ts";

export interface ImportRequest {
  readonly socket: string;
  readonly root: string;
  readonly repository: string;
  readonly tag: string;
  /** Dockerfile instructions: `ENV`, `CMD`, `LABEL` ... */
  readonly changes: readonly string[];
  readonly signal?: AbortSignal;
}

/** Imports and answers the image's ID. Deterministic: sorted, without times, owners by number. */
export async function importImage(options: ImportRequest): Promise<string> {
  const query = new URLSearchParams({ fromSrc: "-", repo: options.repository, tag: options.tag });
  for (const change of options.changes) query.append("changes", change);
  const tar = spawn(
    "tar",
    ["--create", "--sort=name", "--mtime=@0", "--numeric-owner", "--directory", options.root, "."],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const answer = await new Promise<string>((resolve, reject) => {
    const outgoing = request(
      {
        socketPath: options.socket,
        method: "POST",
        path: `/images/create?${query}`,
        headers: { "content-type": "application/x-tar" },
        ...(options.signal === undefined ? {} : { signal: options.signal }),
      },
      (incoming) => {
        text(incoming).then(resolve, reject);
      },
    );
    outgoing.once("error", (cause) => {
      const message = `the container engine cannot be reached at ${options.socket}`;
      reject(new ProtocolError("engine_error", message, { socket: options.socket }, { cause }));
    });
    tar.stdout.pipe(outgoing);
  });
  return imageIdOf(answer);
}

/** The ID of the image `name` where its label `label` is `value`; `undefined` otherwise. */
export async function imageWithLabel(
  socket: string,
  name: string,
  label: string,
  value: string,
): Promise<string | undefined> {
  const answer = await askEngine(socket, `/images/${encodeURIComponent(name)}/json`);
  const image = parsed(answer);
  return image?.labels[label] === value ? image.id : undefined;
}

interface InspectedImage {
  readonly id: string;
  readonly labels: Readonly<Record<string, unknown>>;
}

/** What the engine says of an image; `undefined` when it has none of that name. */
function parsed(answer: unknown): InspectedImage | undefined {
  if (typeof answer !== "object" || answer === null || !("Id" in answer)) return undefined;
  const config = "Config" in answer ? answer.Config : undefined;
  const labels =
    typeof config === "object" && config !== null && "Labels" in config ? config.Labels : undefined;
  const known = typeof labels === "object" && labels !== null ? labels : {};
  return { id: String(answer.Id), labels: known as Readonly<Record<string, unknown>> };
}

/** The engine answers a line of JSON per step; the last has the ID, or the error. */
function imageIdOf(answer: string): string {
  const lines = answer.trim().split("\n");
  const last: unknown = JSON.parse(lines.at(-1) ?? "{}");
  if (typeof last === "object" && last !== null && "status" in last) return String(last.status);
  throw new ProtocolError("engine_error", `the engine refused the image: ${answer.trim()}`);
}
