/** What the parts of the runtime's contract suite share: the subject under test, requests, refusals, archives. */

import assert from "node:assert/strict";
import type { PinnedImage } from "@berth/protocol";
import { ProtocolError } from "@berth/protocol";
import { pack } from "tar-stream";
import {
  type ContainerMount,
  type ContainerRequest,
  type ContainerState,
  LABEL_ATTEMPT,
  LABEL_CLUSTER,
  LABEL_TASK,
  type NetworkRequest,
  type Runtime,
} from "./port.ts";

/** What the suite needs of an implementation. */
export interface RuntimeHarness {
  readonly runtime: Runtime;
  /** Unique: what the suite makes carries it. */
  readonly cluster: string;
  /** An image with busybox as `/bin/...`; present. */
  readonly image: PinnedImage & { readonly imageId: string };
  /** A network that is free on this machine. */
  readonly network: NetworkRequest;
  /** Files that containers with networks get from outside, as an agent brings them. */
  readonly networkMounts?: readonly ContainerMount[];
  /** Removes what is left. */
  close(): Promise<void>;
}

const FOREVER = ["sleep", "100000"] as const;

export interface Subject {
  readonly harness: RuntimeHarness;
  readonly runtime: Runtime;
  request(changes?: Partial<ContainerRequest>): ContainerRequest;
  /** Creates and starts. */
  run(changes?: Partial<ContainerRequest>): Promise<ContainerState>;
}

/** A container that runs for ever, with `changes`. */
export function requestOf(
  harness: RuntimeHarness,
  name: string,
  changes: Partial<ContainerRequest>,
): ContainerRequest {
  return {
    name,
    labels: { [LABEL_CLUSTER]: harness.cluster, [LABEL_TASK]: name, [LABEL_ATTEMPT]: "1" },
    imageId: harness.image.imageId,
    command: FOREVER,
    environment: {},
    engine: {},
    limits: {},
    mounts: changes.network?.kind === "networks" ? (harness.networkMounts ?? []) : [],
    network: { kind: "none" },
    stopGraceMs: 1_000,
    repeatable: true,
    ...changes,
  };
}

/** Awaits the refusal of `promise` and checks its code. */
export async function rejectsWith(code: string, promise: Promise<unknown>): Promise<ProtocolError> {
  try {
    await promise;
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    assert.equal(error.code, code, error.message);
    return error;
  }
  return assert.fail(`expected ${code}, but it succeeded`);
}

/** An archive of small files. */
export async function tarOf(files: Readonly<Record<string, string>>): Promise<Buffer> {
  const archive = pack();
  for (const [name, content] of Object.entries(files)) archive.entry({ name }, content);
  archive.finalize();
  const parts: Uint8Array[] = [];
  for await (const part of archive) if (part instanceof Uint8Array) parts.push(part);
  return Buffer.concat(parts);
}
