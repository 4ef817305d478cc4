/**
 * The words of a dialogue: `node a cpu=4 memory=8GiB zone=a`, `ask web.{1..3} memory=1GiB near=db@zone`.
 *
 * A word is `name`, `name=value` or `name.key=value`; quotes keep spaces. `README.md` beside the dialogues
 * lists them all. A word that does not exist fails the test.
 */

import { assert, parseBytes, present } from "@berth/base";
import type {
  Ask,
  Claims,
  DeviceRequest,
  HostPort,
  NodeModel,
  Requests,
  RunningTask,
  ServiceAffinity,
  Strategy,
  TaintEffect,
} from "../model.ts";
import { constraint, makeAsk, makeNode, makeTask } from "./fixtures.ts";

type Draft<T> = { -readonly [K in keyof T]: T[K] };
/** `key` is what stands behind the dot. */
type Word<T> = (draft: Draft<T>, value: string, key: string) => void;
type Words<T> = Readonly<Record<string, Word<T>>>;

/** `web.{1..3}` → `web.1`, `web.2`, `web.3`. */
export function expandName(name: string): readonly string[] {
  const match = /^(.*)\{(\d+)\.\.(\d+)\}(.*)$/.exec(name);
  if (match === null) return [name];
  const [, before = "", first = "", last = "", after = ""] = match;
  const count = Number(last) - Number(first) + 1;
  return Array.from({ length: count }, (_, index) => before + (Number(first) + index) + after);
}

/** Splits a line at spaces outside quotes. */
export function splitWords(line: string): readonly string[] {
  return (line.match(/(?:[^\s"]|"[^"]*")+/g) ?? []).map((word) => word.replaceAll('"', ""));
}

export function nodeFrom(id: string, words: readonly string[]): NodeModel {
  return apply(makeNode(id), words, NODE_WORDS);
}

export function taskFrom(id: string, node: string, words: readonly string[]): RunningTask {
  return apply(makeTask(id, node), words, TASK_WORDS);
}

export function askFrom(id: string, words: readonly string[]): Ask {
  const slot = /\.(\d+)$/.exec(id)?.[1];
  return apply(makeAsk(id, slot === undefined ? {} : { slot: Number(slot) }), words, ASK_WORDS);
}

/** Requests alone, for `default`. */
export function requestsFrom(words: readonly string[]): Requests {
  return apply(makeAsk("default"), words, REQUEST_WORDS).requests;
}

function apply<T extends object>(start: T, words: readonly string[], known: Words<T>): T {
  const draft: Draft<T> = { ...start };
  for (const word of words) {
    const [, name = "", key = "", value = ""] =
      /^([a-z-]+)(?:\.([^=]+))?(?:=(.*))?$/.exec(word) ?? [];
    const set = known[name];
    assert(set !== undefined, `no such word: ${word}`);
    set(draft, value, key);
  }
  return draft;
}

const bytes = (text: string) => present(parseBytes(text), `size ${text}`);
const millis = (text: string) => Math.round(Number(text) * 1_000);
const added = <T>(list: readonly T[] | undefined, item: T): readonly T[] => [...(list ?? []), item];

const NODE_WORDS: Words<NodeModel> = {
  cpu: (node, value) => (node.cpuMillis = millis(value)),
  memory: (node, value) => (node.memoryBytes = bytes(value)),
  disk: (node, value) => (node.diskBytes = bytes(value)),
  pids: (node, value) => (node.pidsMax = Number(value)),
  reserved: (node, value, key) => {
    const field = { cpu: "cpuMillis", memory: "memoryBytes", disk: "diskBytes" }[key] ?? "";
    node.reserved = { ...node.reserved, [field]: key === "cpu" ? millis(value) : bytes(value) };
  },
  resource: (node, value, key) => (node.resources = { ...node.resources, [key]: Number(value) }),
  device: (node, value) => {
    const [kind = "", model = "", count = "1"] = value.split(":");
    node.devices = added(node.devices, { kind, model, count: Number(count) });
  },
  label: (node, value, key) => (node.labels = { ...node.labels, [key]: value }),
  zone: (node, value) => (node.topology = { ...node.topology, zone: value }),
  topology: (node, value, key) => (node.topology = { ...node.topology, [key]: value }),
  role: (node, value) => (node.roles = added(node.roles, value)),
  taint: (node, value) => {
    const [name = "", effect = "no-schedule"] = value.split(":");
    const [key = "", detail] = name.split("/");
    const rest = detail === undefined ? {} : { value: detail };
    node.taints = added(node.taints, { key, ...rest, effect: effect as TaintEffect });
  },
  platform: (node, value) => (node.platform = platform(value)),
  image: (node, value) => {
    const [digest = "", size = "0"] = value.split(":");
    node.images = { ...node.images, [digest]: bytes(size) };
  },
  volume: (node, value) => (node.volumes = added(node.volumes, value)),
  address: (node, value) => (node.addresses = added(node.addresses, value)),
  pool: (node, value) => (node.pools = added(node.pools, value)),
  taken: (node, value) => (node.portsTaken = added(node.portsTaken, hostPort(value))),
  cost: (node, value) => (node.costPerHourMillis = millis(value)),
  "max-tasks": (node, value) => (node.maxTasks = Number(value)),
  "not-ready": (node, value) => {
    node.ready = false;
    if (value !== "") node.notReadyBecause = value;
  },
  draining: (node) => (node.draining = true),
};

const REQUEST_WORDS: Words<Claims> = {
  cpu: (task, value) => (task.requests = { ...task.requests, cpuMillis: millis(value) }),
  memory: (task, value) => (task.requests = { ...task.requests, memoryBytes: bytes(value) }),
  disk: (task, value) => (task.requests = { ...task.requests, diskBytes: bytes(value) }),
  pids: (task, value) => (task.requests = { ...task.requests, pids: Number(value) }),
  resource: (task, value, key) => {
    const resources = { ...task.requests.resources, [key]: Number(value) };
    task.requests = { ...task.requests, resources };
  },
  device: (task, value) => {
    const devices = added(task.requests.devices, deviceRequest(value));
    task.requests = { ...task.requests, devices };
  },
};

const CLAIM_WORDS: Words<Claims> = {
  ...REQUEST_WORDS,
  service: (task, value) => (task.service = value),
  port: (task, value) => (task.ports = added(task.ports, hostPort(value))),
  volume: (task, value) => {
    const [key = "", mode, reach] = value.split(":");
    const use = { key, mode: mode === "shared" ? ("shared" as const) : ("exclusive" as const) };
    const anywhere = reach === "cluster" ? { reach: "cluster" as const } : {};
    task.volumes = added(task.volumes, { ...use, ...anywhere });
  },
  address: (task, value) => {
    const [address = "", pool = ""] = value.split(":");
    task.addresses = added(task.addresses, { address, pool });
  },
  apart: (task, value) => (task.antiAffinities = added(task.antiAffinities, toward(value, true))),
  "prefer-apart": (task, value) =>
    (task.antiAffinities = added(task.antiAffinities, toward(value, false))),
  pod: (task, value) => (task.pod = value),
  priority: (task, value) => (task.priority = Number(value)),
  limit: (task, value, key) => (task.limits = { ...task.limits, ...measuredField(key, value) }),
  uses: (task, value, key) => (task.measured = { ...task.measured, ...measuredField(key, value) }),
  margin: (task, value) => (task.measured = { ...task.measured, marginPercent: Number(value) }),
};

const TASK_WORDS: Words<RunningTask> = {
  ...CLAIM_WORDS,
  leaving: (task) => (task.leaving = true),
};

const ASK_WORDS: Words<Ask> = {
  ...CLAIM_WORDS,
  constraint: (ask, value) => (ask.constraints = added(ask.constraints, constraint(value))),
  prefer: (ask, value) => {
    const [, text = "", weight] = /^(.*?)(?: weight (-?\d+))?$/.exec(value) ?? [];
    const rest = weight === undefined ? {} : { weight: Number(weight) };
    ask.affinities = added(ask.affinities, { kind: "node", constraint: constraint(text), ...rest });
  },
  near: (ask, value) => (ask.affinities = added(ask.affinities, toward(value, true))),
  "prefer-near": (ask, value) => (ask.affinities = added(ask.affinities, toward(value, false))),
  spread: (ask, value) => {
    const [level = "", maxSkew = "1"] = value.split(":");
    ask.spread = added(ask.spread, { level, required: true, maxSkew: Number(maxSkew) });
  },
  "prefer-spread": (ask, value) => {
    const [level = "", weight] = value.split(":");
    const rest = weight === undefined ? {} : { weight: Number(weight) };
    ask.spread = added(ask.spread, { level, required: false, ...rest });
  },
  "max-per-node": (ask, value) => (ask.maxPerNode = Number(value)),
  pinned: (ask, value) => (ask.pinnedNode = value),
  gang: (ask, value) => (ask.gang = value),
  image: (ask, value) => {
    const [digest = "", size = "0"] = value.split(":");
    ask.images = added(ask.images, { digest, bytes: bytes(size) });
  },
  tolerate: (ask, value) => {
    const toleration = value === "" ? {} : { key: value };
    ask.tolerations = added(ask.tolerations, toleration);
  },
  platform: (ask, value) => (ask.platforms = added(ask.platforms, platform(value))),
  previous: (ask, value) => (ask.previousNode = value),
  failed: (ask, value) => (ask.failedNodes = added(ask.failedNodes, value)),
  strategy: (ask, value) => (ask.strategy = value as Strategy),
  weight: (ask, value, key) => (ask.weights = { ...ask.weights, [key]: Number(value) }),
  overcommit: (ask, value, key) => (ask.overcommit = { ...ask.overcommit, [key]: Number(value) }),
};

/** `cpu` or `memory`. */
function measuredField(key: string, value: string) {
  return key === "cpu" ? { cpuMillis: millis(value) } : { memoryBytes: bytes(value) };
}

function platform(text: string) {
  const [os = "", architecture = ""] = text.split("/");
  return { os, architecture };
}

/** `8080/tcp`, `10.0.0.1:8080/udp`. */
function hostPort(text: string): HostPort {
  const match = /^(?:([\d.]+):)?(\d+)\/(tcp|udp|sctp)$/.exec(text);
  assert(match !== null, `no port: ${text}`);
  const [, address, port, protocol] = match;
  const rest = address === undefined ? {} : { address };
  return { protocol: protocol as HostPort["protocol"], port: Number(port), ...rest };
}

/** `gpu`, `gpu:2`, `gpu:1:0.5`, `gpu:1:1:a100|h100`. */
function deviceRequest(text: string): DeviceRequest {
  const [kind = "", count = "1", share = "1", models = ""] = text.split(":");
  const rest = models === "" ? {} : { models: models.split("|") };
  return { kind, count: Number(count), shareMillis: millis(share), ...rest };
}

/** `db@zone`, or `db` for the same node. */
function toward(text: string, required: boolean): ServiceAffinity {
  const [service = "", level = "node"] = text.split("@");
  return { kind: "service", service, level, required };
}
