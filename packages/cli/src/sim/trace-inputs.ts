/** The files of one run of `berth sim`, read and checked against each other. */

import { ProtocolError } from "@berth/protocol";
import type { DeviceAssignment } from "@berth/scheduler";
import { type Mix, MixCounter } from "@berth/scheduler/dense/mix";
import { AskReader, readAsk, type TraceAsk } from "@berth/scheduler/trace/ask-line";
import { Fields, TraceError } from "@berth/scheduler/trace/fields";
import { readNode, type TraceNode } from "@berth/scheduler/trace/node-line";
import { readPlacement } from "@berth/scheduler/trace/placement-line";
import type { NodeFailure } from "@berth/scheduler/trace/replay";
import { readTrace } from "./trace-files.ts";

export async function readNodes(path: string): Promise<readonly TraceNode[]> {
  const nodes: TraceNode[] = [];
  await readTrace(path, readNode, (node) => nodes.push(node));
  refuseTwins(
    path,
    nodes.map(({ model }) => model.id),
    "node",
  );
  return nodes;
}

/** In the order of arrival: that of the file where times do not say otherwise. */
export async function readAsks(path: string): Promise<readonly TraceAsk[]> {
  const asks: TraceAsk[] = [];
  const reader = new AskReader();
  await readTrace(
    path,
    (value) => reader.read(value),
    (ask) => asks.push(ask),
  );
  refuseTwins(
    path,
    asks.map(({ ask }) => ask.id),
    "ask",
  );
  let last = 0;
  const isInOrder = asks.every(({ arriveMs }) => {
    const later = arriveMs === undefined || arriveMs >= last;
    last = arriveMs ?? last;
    return later;
  });
  if (isInOrder) return asks;
  return [...asks].sort((a, b) => (a.arriveMs ?? 0) - (b.arriveMs ?? 0));
}

/** What the asks of a sample usually want. */
export async function readMix(path: string): Promise<Mix> {
  const counter = new MixCounter();
  await readTrace(path, readAsk, ({ ask }) => counter.add(ask.requests));
  return counter.mix();
}

/** A task of a placement to begin with. */
export interface InitialTask {
  readonly node: string;
  readonly devices?: readonly DeviceAssignment[];
}

/** By ask. An ask or a node that the trace does not have is an error; refused asks are left out. */
export async function readInitial(
  path: string,
  asks: readonly TraceAsk[],
  nodes: readonly TraceNode[],
): Promise<ReadonlyMap<string, InitialTask>> {
  const asked = new Map(asks.map(({ ask }) => [ask.id, ask]));
  const known = new Set(nodes.map(({ model }) => model.id));
  const initial = new Map<string, InitialTask>();
  const read = (value: unknown) => {
    const placement = readPlacement(value);
    if (!asked.has(placement.ask)) throw new TraceError(`ask: no ask ${placement.ask} in --asks`);
    if (placement.node !== undefined && !known.has(placement.node)) {
      throw new TraceError(`node: no node ${placement.node} in --nodes`);
    }
    return placement;
  };
  await readTrace(path, read, ({ ask, node, devices }) => {
    // The last line of an ask counts: it may have lost its place after it was given one.
    initial.delete(ask);
    if (node === undefined) return;
    const shares = asked.get(ask)?.requests.devices ?? [];
    const held = devices.map(({ kind, indexes }, at) => {
      return { kind, indexes, shareMillis: shares[at]?.shareMillis ?? 1_000 };
    });
    initial.set(ask, held.length === 0 ? { node } : { node, devices: held });
  });
  return initial;
}

export async function readFailures(
  path: string,
  nodes: readonly TraceNode[],
): Promise<readonly NodeFailure[]> {
  const known = new Set(nodes.map(({ model }) => model.id));
  const failures: NodeFailure[] = [];
  const read = (value: unknown): NodeFailure => {
    const fields = new Fields(value);
    const node = fields.text("node");
    if (!known.has(node)) fields.fail("node", "the id of a node", node);
    const atMs = fields.whole("atMs");
    const backMs = fields.optionalWhole("backMs", atMs);
    fields.end();
    return { node, atMs, backMs };
  };
  await readTrace(path, read, (failure) => failures.push(failure));
  return failures;
}

function refuseTwins(path: string, ids: readonly string[], what: string): void {
  if (new Set(ids).size === ids.length) return;
  const seen = new Set<string>();
  const twice = ids.filter((id) => seen.has(id) || !seen.add(id));
  if (twice.length === 0) return;
  const problems = [...new Set(twice)].slice(0, 10).map((id) => `${what} ${id} is there twice`);
  throw new ProtocolError("invalid_request", `${path}: ids are unique`, { problems });
}
