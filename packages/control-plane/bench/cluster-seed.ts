/** What a cluster of light agents begins with: nodes in zones that joined before the server starts. */

import { createHash, createPublicKey } from "node:crypto";
import { silentLogger, systemClock } from "@berth/base";
import {
  type Authority,
  FORMAT_LEVEL,
  keys,
  type Member,
  type Node,
  type NodeStatus,
  type StackSpec,
} from "@berth/protocol";
import { SecretBox } from "../src/api/secret-box.ts";
import { ensureAuthority } from "../src/certificates/authority.ts";
import { Vault } from "../src/certificates/vault.ts";
import { newPrivateKey } from "../src/certificates/x509.ts";
import { issueMember } from "../src/joining/member-certificates.ts";
import { dataPaths, makeDataDir } from "../src/server/data-dir.ts";
import { ensureSecretKey } from "../src/server/first-start.ts";
import { openStore, type StoreChoice } from "../src/server/open-store.ts";
import type { Operation } from "../src/store/port.ts";
import { serviceSpec, stackSpec } from "../src/testing/specs.ts";

export interface LightNode {
  readonly name: string;
  /** Its certificate as PEM. */
  readonly certificate: string;
}

/** Nodes as their host would know them: who made their certificates, and the key, which they all share. */
export interface LightCluster {
  readonly authority: string;
  readonly key: string;
  readonly nodes: readonly LightNode[];
}

/** Zones that nodes are spread over. */
const ZONES = 10;
const PUTS_PER_TXN = 100;
/** Each node has room for far more than its share, so that placing is a choice. */
const NODE_CPU_MILLIS = 64_000;
const NODE_MEMORY_BYTES = 2 ** 38;

/** The cluster's identifier. */
const CLUSTER = "c0ffee00";

function nodeName(index: number): string {
  return `node-${String(index).padStart(5, "0")}`;
}

export function lightNodeStatus(name: string): NodeStatus {
  return {
    name,
    bootId: "boot-1",
    agentVersion: "0.1.0",
    format: FORMAT_LEVEL,
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

/** Makes a store in which `count` hosts have joined. */
export async function seedCluster(
  dataDir: string,
  choice: StoreChoice,
  count: number,
): Promise<LightCluster> {
  await makeDataDir(dataDir);
  const { store } = await openStore({ dataDir, choice, clock: systemClock, log: silentLogger });
  const now = Date.now();
  const vault = new Vault({
    box: new SecretBox(await ensureSecretKey(dataPaths(dataDir), store)),
    store,
  });
  const identity = { id: CLUSTER, createdAt: now };
  await store.txn({
    compare: [],
    then: [{ kind: "put", key: keys.cluster(), value: JSON.stringify(identity) }],
  });
  await ensureAuthority({ store, vault, cluster: CLUSTER, now, leadership: [] });
  const { entry } = await store.get(keys.authority());
  const authority = JSON.parse(entry?.value ?? "") as Authority;
  const key = newPrivateKey();
  const der = createPublicKey(key).export({ type: "spki", format: "der" });
  const hash = createHash("sha256").update(der).digest("hex");
  const nodes: LightNode[] = [];
  const puts: Operation[] = [];
  for (let index = 0; index < count; index++) {
    const name = nodeName(index);
    const member = createHash("sha256").update(name).digest("hex").slice(0, 20);
    const of = { vault, cluster: CLUSTER, node: name, member, now, key: { der, hash } };
    const { certificate, notAfter } = await issueMember({ authority, ...of });
    nodes.push({ name, certificate });
    const joined = { node: name, id: member, joinedAt: now, address: "127.0.0.1" };
    puts.push(...joinedNode({ ...joined, keyHash: hash, notAfter }, index));
  }
  for (let index = 0; index < puts.length; index += PUTS_PER_TXN) {
    await store.txn({ compare: [], then: puts.slice(index, index + PUTS_PER_TXN) });
  }
  await store.close();
  return { authority: authority.certificate, key, nodes };
}

function joinedNode(member: Member, index: number): Operation[] {
  const { node: name, joinedAt } = member;
  const node: Node = {
    name,
    labels: { zone: `zone-${index % ZONES}` },
    availability: "active",
    joinedAt,
    contact: "up",
    contactChangedAt: joinedAt,
  };
  return [
    { kind: "put", key: keys.member(name), value: JSON.stringify(member) },
    { kind: "put", key: keys.node(name), value: JSON.stringify(node) },
    { kind: "put", key: keys.nodeStatus(name), value: JSON.stringify(lightNodeStatus(name)) },
  ];
}

export interface Shape {
  /** Stacks are called by it and a number. */
  readonly name: string;
  readonly stacks: number;
  readonly services: number;
  readonly copies: number;
}

/** Stacks of ten services; each service with as many copies as make up `tasks`. */
export function shapeOf(tasks: number, stacks: number, name: string): Shape {
  const services = 10;
  if (tasks === 0) return { name, stacks: 0, services, copies: 0 };
  const whole = Math.ceil(stacks);
  return { name, stacks: whole, services, copies: Math.round(tasks / whole / services) };
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
