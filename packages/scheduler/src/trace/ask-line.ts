/** An ask as a line of a trace (`docs/reference/sim.md`). */

import type { Constraint } from "../constraint-form.ts";
import { parseConstraint } from "../constraint-grammar.ts";
import {
  type Ask,
  type DeviceRequest,
  type HostPort,
  type NodeAffinity,
  type ServiceAffinity,
  type Spread,
  STRATEGIES,
} from "../model.ts";
import { SCORES, WEIGHT_MAX, type Weights } from "../options.ts";
import {
  MEASURED_RESOURCES,
  type MeasuredUse,
  OVERCOMMIT_PERCENT_MAX,
  type Overcommit,
} from "../overcommit.ts";
import { sameValue } from "../same-value.ts";
import { Fields, TraceError } from "./fields.ts";
import { readTaint } from "./taint-text.ts";

/** An ask with its times, in milliseconds from the beginning of the trace. */
export interface TraceAsk {
  readonly ask: Ask;
  /** `undefined`: in the order of the file, at the time of the line before. */
  readonly arriveMs: number | undefined;
  /** When its task ends by itself; never when `undefined`. */
  readonly departMs: number | undefined;
  /** Level to the fewest domains that the service's copies must lie in; read by rebalancing only. */
  readonly minDomains: ReadonlyMap<string, number>;
}

/** Reads the parsed JSON of one line. Throws `TraceError`. O(size of the line). */
export function readAsk(value: unknown): TraceAsk {
  const fields = new Fields(value);
  const id = fields.text("id");
  const spreads = fields.list("spread").map(({ value: item, path }) => readSpread(item, path));
  const antiAffinities = fields
    .list("antiAffinity")
    .map(({ value: item, path }) => readNeighbour(item, path, true));
  const ask: Ask = {
    id,
    service: fields.optionalText("service") ?? id,
    requests: {
      cpuMillis: fields.whole("cpuMillis", 0),
      memoryBytes: fields.whole("memoryBytes", 0),
      diskBytes: fields.whole("diskBytes", 0),
      pids: fields.whole("pids", 0),
      resources: fields.quantities("resources"),
      devices: fields.list("devices").map(({ value: item, path }) => readDevice(item, path)),
    },
    ...given("slot", fields.optionalWhole("slot")),
    ...given("priority", fields.optionalWhole("priority")),
    ...given("maxPerNode", fields.optionalWhole("maxPerNode", 1)),
    ...given("gang", fields.optionalText("gang")),
    ...given("pod", fields.optionalText("pod")),
    ...given("pinnedNode", fields.optionalText("node")),
    ...given("strategy", fields.has("strategy") ? fields.oneOf("strategy", STRATEGIES) : undefined),
    ...filledRecord("weights", readWeights(fields)),
    ...filledRecord("overcommit", readOvercommit(fields)),
    ...filledRecord("limits", readAmounts(fields, "limits")),
    ...filledRecord("measured", readMeasured(fields)),
    ...filled("constraints", fields.list("constraints").map(readConstraint)),
    ...filled("affinities", fields.list("affinity").map(readAffinity)),
    ...filled("antiAffinities", antiAffinities),
    ...filled(
      "spread",
      spreads.map(({ spread }) => spread),
    ),
    ...filled(
      "tolerations",
      fields.list("tolerations").map(({ value: item, path }) => readTaint(item, path)),
    ),
    ...filled(
      "images",
      fields.list("images").map(({ value: item, path }) => readImage(item, path)),
    ),
    ...filled(
      "ports",
      fields.list("ports").map(({ value: item, path }) => readPort(item, path)),
    ),
  };
  const arriveMs = fields.optionalWhole("arriveMs");
  const departMs = fields.optionalWhole("departMs");
  fields.end();
  if (departMs !== undefined && departMs < (arriveMs ?? 0)) {
    throw new TraceError(`departMs: ${departMs} is before arriveMs ${arriveMs ?? 0}`);
  }
  const minDomains = new Map(
    spreads.flatMap(({ spread, minDomains: least }) =>
      least === undefined ? [] : [[spread.level, least] as const],
    ),
  );
  return { ask, arriveMs, departMs, minDomains };
}

/** Kinds of lines that are remembered; then all are forgotten. */
const KINDS_MAX = 4_096;

/** What tells copies of a service apart; all other fields make the kind of a line. */
const OWN_FIELDS: ReadonlySet<string> = new Set(["id", "service", "arriveMs", "departMs"]);

/**
 * Reads lines of which many differ only in id, service and times: those share all other parts, so that a million
 * copies take the time and the memory of their ids. What it returns equals what `readAsk` returns.
 */
export class AskReader {
  /** The last line with such amounts, and what became of it. */
  readonly #kinds = new Map<string, { readonly line: object; readonly read: TraceAsk }>();

  /** Throws `TraceError`, as `readAsk` does. O(size of the line). */
  read(value: unknown): TraceAsk {
    // Whatever is unusual is left to the careful reader, which tells what is wrong.
    if (typeof value !== "object" || value === null) return readAsk(value);
    const line: Own = value;
    const kind = `${String(line.cpuMillis)} ${String(line.memoryBytes)}`;
    const known = this.#kinds.get(kind);
    if (known !== undefined && isUsual(line) && isSameKind(line, known.line)) {
      const { id, service = id, arriveMs, departMs } = line;
      const ask = { ...known.read.ask, id, service };
      return { ask, arriveMs, departMs, minDomains: known.read.minDomains };
    }
    const read = readAsk(value);
    if (this.#kinds.size >= KINDS_MAX) this.#kinds.clear();
    this.#kinds.set(kind, { line, read });
    return read;
  }
}

/** The fields of a line that are looked at before it is known to be well formed. */
interface Own {
  readonly id?: unknown;
  readonly service?: unknown;
  readonly arriveMs?: unknown;
  readonly departMs?: unknown;
  readonly cpuMillis?: unknown;
  readonly memoryBytes?: unknown;
}

interface Usual {
  readonly id: string;
  readonly service: string | undefined;
  readonly arriveMs: number | undefined;
  readonly departMs: number | undefined;
}

/** Are the fields that no other line has vouched for as `readAsk` wants them? */
function isUsual(line: Own): line is Own & Usual {
  const { id, service, arriveMs, departMs } = line;
  const isText = (text: unknown) => typeof text === "string" && text !== "";
  const isTime = (ms: unknown): ms is number => Number.isSafeInteger(ms) && Number(ms) >= 0;
  if (!isText(id) || (service !== undefined && !isText(service))) return false;
  if (arriveMs !== undefined && !isTime(arriveMs)) return false;
  if (departMs === undefined) return true;
  return isTime(departMs) && departMs >= (arriveMs ?? 0);
}

function isSameKind(a: object, b: object): boolean {
  let own = 0;
  for (const [name, value] of Object.entries(a)) {
    if (OWN_FIELDS.has(name)) own++;
    else if (!Object.hasOwn(b, name) || !sameValue(value, b[name as keyof typeof b])) return false;
  }
  let theirs = 0;
  for (const name of Object.keys(b)) if (OWN_FIELDS.has(name)) theirs++;
  return Object.keys(a).length - own === Object.keys(b).length - theirs;
}

/** `{"spread": 30}`. */
function readWeights(fields: Fields): Partial<Weights> {
  const inner = fields.inner("weights");
  if (inner === undefined) return {};
  const stated = SCORES.flatMap((name) => {
    if (!inner.has(name)) return [];
    const weight = inner.whole(name);
    if (weight > WEIGHT_MAX) inner.fail(name, `at most ${WEIGHT_MAX}`, weight);
    return [[name, weight] as const];
  });
  inner.end();
  return Object.fromEntries(stated);
}

/** `{"cpu": 150, "memory": 120}`, in hundredths of what a host can give. */
function readOvercommit(fields: Fields): Overcommit {
  const inner = fields.inner("overcommit");
  if (inner === undefined) return {};
  const stated = MEASURED_RESOURCES.flatMap((name) => {
    if (!inner.has(name)) return [];
    const percent = inner.whole(name, undefined, 100);
    if (percent > OVERCOMMIT_PERCENT_MAX) {
      inner.fail(name, `at most ${OVERCOMMIT_PERCENT_MAX}`, percent);
    }
    return [[name, percent] as const];
  });
  inner.end();
  return Object.fromEntries(stated);
}

function readAmounts(fields: Fields, name: string): NonNullable<Ask["limits"]> {
  const inner = fields.inner(name);
  if (inner === undefined) return {};
  const amounts = {
    ...given("cpuMillis", inner.optionalWhole("cpuMillis")),
    ...given("memoryBytes", inner.optionalWhole("memoryBytes")),
  };
  inner.end();
  return amounts;
}

function readMeasured(fields: Fields): MeasuredUse {
  const inner = fields.inner("measured");
  if (inner === undefined) return {};
  const use = {
    ...given("cpuMillis", inner.optionalWhole("cpuMillis")),
    ...given("memoryBytes", inner.optionalWhole("memoryBytes")),
    ...given("marginPercent", inner.optionalWhole("marginPercent")),
  };
  inner.end();
  return use;
}

interface Item {
  readonly value: unknown;
  readonly path: string;
}

function readDevice(value: unknown, path: string): DeviceRequest {
  const fields = new Fields(value, path);
  const shareMillis = fields.whole("shareMillis", 1_000, 1);
  if (shareMillis > 1_000) fields.fail("shareMillis", "at most 1000, a whole device", shareMillis);
  const request: DeviceRequest = {
    kind: fields.text("kind"),
    count: fields.whole("count", 1),
    shareMillis,
    models: fields.texts("models"),
  };
  fields.end();
  return request;
}

function readConstraint({ value, path }: Item): Constraint {
  if (typeof value !== "string") {
    throw new TraceError(`${path}: expected a text such as node.labels.zone==a`);
  }
  const result = parseConstraint(value);
  if (result.kind === "constraint") return result.constraint;
  throw new TraceError(`${path}: ${result.message} (column ${result.column} of "${value}")`);
}

/** A constraint (`node.labels.disk==ssd`, preferred), the key of a service (required), or an object. */
function readAffinity({ value, path }: Item): ServiceAffinity | NodeAffinity {
  if (typeof value === "string" && parseConstraint(value).kind === "constraint") {
    return { kind: "node", constraint: readConstraint({ value, path }) };
  }
  const isNode = typeof value === "object" && value !== null && "constraint" in value;
  if (!isNode) return readNeighbour(value, path, false);
  const fields = new Fields(value, path);
  const constraint = readConstraint({
    value: fields.text("constraint"),
    path: fields.at("constraint"),
  });
  const weight = fields.has("weight") ? { weight: fields.whole("weight", undefined, -100) } : {};
  fields.end();
  return { kind: "node", constraint, ...weight };
}

/** The key of a service, or `{service, level, required, weight, max}`. */
function readNeighbour(value: unknown, path: string, apart: boolean): ServiceAffinity {
  if (typeof value === "string" && value !== "") {
    return { kind: "service", service: value, level: "node", required: true };
  }
  const fields = new Fields(value, path);
  const neighbour: ServiceAffinity = {
    kind: "service",
    service: fields.text("service"),
    level: fields.optionalText("level") ?? "node",
    required: fields.flag("required", true),
    ...given("weight", fields.optionalWhole("weight", 1)),
    ...given("max", apart ? fields.optionalWhole("max") : undefined),
  };
  fields.end();
  return neighbour;
}

/** A level, or `{level, required, maxSkew, minDomains, weight}`. */
function readSpread(
  value: unknown,
  path: string,
): { spread: Spread; minDomains: number | undefined } {
  if (typeof value === "string" && value !== "") {
    return { spread: { level: value, required: true }, minDomains: undefined };
  }
  const fields = new Fields(value, path);
  const minDomains = fields.optionalWhole("minDomains", 1);
  const maxSkew = fields.optionalWhole("maxSkew", 1);
  const spread: Spread = {
    level: fields.text("level"),
    // Who states only in how many domains it must lie says nothing about how evenly.
    required: fields.flag("required", maxSkew !== undefined || minDomains === undefined),
    ...given("maxSkew", maxSkew),
    ...given("weight", fields.optionalWhole("weight")),
  };
  fields.end();
  return { spread, minDomains };
}

function readImage(value: unknown, path: string) {
  const fields = new Fields(value, path);
  const image = { digest: fields.text("digest"), bytes: fields.whole("bytes", 0) };
  fields.end();
  return image;
}

/** `{"protocol": "tcp", "port": 80, "address": "10.0.0.1"}`; tcp, and every address of the host, when absent. */
export function readPort(value: unknown, path: string): HostPort {
  const fields = new Fields(value, path);
  const port: HostPort = {
    protocol: fields.has("protocol") ? fields.oneOf("protocol", ["tcp", "udp", "sctp"]) : "tcp",
    port: fields.whole("port", undefined, 1),
    ...given("address", fields.optionalText("address")),
  };
  fields.end();
  return port;
}

function given<K extends string, T>(key: K, value: T | undefined): { readonly [key in K]?: T } {
  // Absent and undefined are told apart everywhere; TypeScript cannot see that K is one key.
  return value === undefined ? {} : ({ [key]: value } as { readonly [key in K]?: T });
}

/** A record, unless it is empty. */
function filledRecord<K extends string, T extends object>(
  key: K,
  record: T,
): { readonly [key in K]?: T } {
  return given(key, Object.keys(record).length === 0 ? undefined : record);
}

function filled<K extends string, T>(
  key: K,
  list: readonly T[],
): { readonly [key in K]?: readonly T[] } {
  return given(key, list.length === 0 ? undefined : list);
}
