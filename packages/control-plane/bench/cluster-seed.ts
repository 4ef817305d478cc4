/** What a cluster of light agents begins with: nodes in zones, and their tokens, written before the server starts. */

import { createHash } from "node:crypto";
import { keys, type Node, type NodeStatus, type StackSpec } from "@berth/protocol";
import { hashToken } from "../src/api/authenticator.ts";
import type { Operation, Store } from "../src/store/port.ts";
import { serviceSpec, stackSpec } from "../src/testing/specs.ts";

export interface LightNode {
  readonly name: string;
  readonly token: string;
}

/** Zones that nodes are spread over. */
const ZONES = 10;
const PUTS_PER_TXN = 100;
/** Each node has room for far more than its share, so that placing is a choice. */
const NODE_CPU_MILLIS = 64_000;
const NODE_MEMORY_BYTES = 2 ** 38;

export function lightNodes(count: number): LightNode[] {
  return Array.from({ length: count }, (_, index) => {
    const name = `node-${String(index).padStart(5, "0")}`;
    const secret = createHash("sha256").update(name).digest("base64url").slice(0, 43);
    return { name, token: `bt_${secret}` };
  });
}

export function lightNodeStatus(name: string): NodeStatus {
  return {
    name,
    bootId: "boot-1",
    agentVersion: "0.1.0",
    platform: { os: "linux", architecture: "amd64" },
    kernel: "6.1",
    engine: { name: "light", version: "1", apiVersion: "1.41", reachable: true },
    capacity: {
      cpuMillis: NODE_CPU_MILLIS,
      memoryBytes: NODE_MEMORY_BYTES,
      diskBytes: 2 ** 42,
      pids: 0,
    },
    reserved: { cpuMillis: 500, memoryBytes: 2 ** 29, diskBytes: 0 },
    diskFreeBytes: 2 ** 41,
    diskPressure: false,
    address: "127.0.0.1",
    conditions: [],
    reportedAt: Date.now(),
  };
}

/** Tokens, nodes and their reports, as if all had joined before. */
export async function seedCluster(store: Store, nodes: readonly LightNode[]): Promise<void> {
  const now = Date.now();
  const puts: Operation[] = nodes.flatMap(({ name, token }, index): Operation[] => {
    const hash = hashToken(token);
    const node: Node = {
      name,
      labels: { zone: `zone-${index % ZONES}` },
      availability: "active",
      joinedAt: now,
      contact: "up",
      contactChangedAt: now,
    };
    const known = { name: `agent:${name}`, role: "agent", node: name, hash, createdAt: now };
    return [
      { kind: "put", key: keys.token(hash), value: JSON.stringify(known) },
      { kind: "put", key: keys.node(name), value: JSON.stringify(node) },
      { kind: "put", key: keys.nodeStatus(name), value: JSON.stringify(lightNodeStatus(name)) },
    ];
  });
  for (let index = 0; index < puts.length; index += PUTS_PER_TXN) {
    await store.txn({ compare: [], then: puts.slice(index, index + PUTS_PER_TXN) });
  }
}

export interface Shape {
  readonly stacks: number;
  readonly services: number;
  readonly copies: number;
}

/** Stacks of ten services; each service with as many copies as make up `tasks`. */
export function shapeOf(tasks: number, stacks: number): Shape {
  const services = 10;
  return { stacks, services, copies: Math.round(tasks / stacks / services) };
}

/** One stack whose copies are spread over zones. */
export function benchStack({ services, copies }: Shape): Omit<StackSpec, "secrets"> {
  const service = serviceSpec({
    copies,
    spreadOver: ["zone"],
    requests: { cpuMillis: 100, memoryBytes: 2 ** 27 },
    update: { ...serviceSpec().update, minHealthyMs: 0 },
  });
  const named = Array.from({ length: services }, (_, index) => [`service-${index}`, service]);
  return stackSpec(Object.fromEntries(named));
}
