/**
 * `x-berth` of a service: probes, routes and the wishes about rollouts.
 *
 * Unknown words here are errors: nobody else reads this key, so a mistake would never be noticed.
 */

import { type Codec, refuse } from "../codec/codec.ts";
import { list, tableOf, texts, textTable } from "../codec/collection-codecs.ts";
import { field, record } from "../codec/record-codec.ts";
import { bytes, cpuMillis, durationMs, integer, oneOf, text } from "../codec/scalar-codecs.ts";
import {
  type AffinityWish,
  CLASS_WISHES,
  type DeviceShareWish,
  type Probe,
  type ProbeAction,
  type Probes,
  type ServiceWishes,
  STRATEGY_WISHES,
  type StatusRange,
  type TolerationWish,
  type WeightWishes,
} from "../model/berth-model.ts";
import { ADDRESSES_MAX, expandAddresses } from "../text/address-range.ts";
import { kindName } from "../tree/tree.ts";
import { command } from "./command-codecs.ts";
import { route } from "./route-codec.ts";

const port = integer({ min: 1, max: 65_535 });
/** Above it a score decides alone. */
const WEIGHT_MAX = 100;
/** As many as a node may report. */
const DEVICES_OF_A_KIND_MAX = 256;

/** `200`, `200-399`, or a list of these. */
const statusRanges: Codec<readonly StatusRange[]> = {
  read(tree, path, reading) {
    const items = tree.kind === "seq" ? tree.items : [tree];
    const ranges: StatusRange[] = [];
    for (const item of items) {
      const match =
        item.kind === "scalar" ? /^([1-5]\d\d)(?:-([1-5]\d\d))?$/.exec(item.text) : null;
      if (match === null) {
        refuse(reading, item, path, { found: `is ${kindName(item)}`, expected: "200 or 200-399" });
      } else ranges.push({ from: Number(match[1]), to: Number(match[2] ?? match[1]) });
    }
    return ranges;
  },
  print: (ranges) => ranges.map(({ from, to }) => (from === to ? String(from) : `${from}-${to}`)),
  schema: { type: ["integer", "string", "array"] },
};

interface HttpWords {
  readonly port: number;
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly status?: readonly StatusRange[];
}

interface GrpcWords {
  readonly port: number;
  readonly service?: string;
}

interface TcpWords {
  readonly port: number;
}

interface ProbeWords {
  readonly http?: HttpWords;
  readonly tcp?: TcpWords;
  readonly grpc?: GrpcWords;
  readonly exec?: readonly string[] | null;
  readonly delay?: number;
  readonly interval?: number;
  readonly timeout?: number;
  readonly success?: number;
  readonly failure?: number;
}

const closed = { closed: true };

const probeWords = record<ProbeWords>(
  {
    http: field(
      "http",
      record<HttpWords>(
        {
          port: field("port", port, { required: true }),
          path: field("path", text),
          headers: field("headers", textTable),
          status: field("status", statusRanges),
        },
        closed,
      ),
    ),
    tcp: field("tcp", record<TcpWords>({ port: field("port", port, { required: true }) }, closed)),
    grpc: field(
      "grpc",
      record<GrpcWords>(
        { port: field("port", port, { required: true }), service: field("service", text) },
        closed,
      ),
    ),
    exec: field("exec", command),
    delay: field("delay", durationMs),
    interval: field("interval", durationMs),
    timeout: field("timeout", durationMs),
    success: field("success", integer({ min: 1, max: 100 })),
    failure: field("failure", integer({ min: 1, max: 100 })),
  },
  { closed: true, misplaced: { retries: "failure", start_period: "delay", period: "interval" } },
);

const probe: Codec<Probe> = {
  read(tree, path, reading) {
    const words = probeWords.read(tree, path, reading);
    if (words === undefined) return undefined;
    const actions = probeActions(words);
    const [action] = actions;
    if (action === undefined || actions.length > 1) {
      return reading.problems.error(tree, path, "a probe asks in one way", {
        expected: "one of http, tcp, grpc, exec",
      });
    }
    return {
      action,
      ...optional("delayMs", words.delay),
      ...optional("intervalMs", words.interval),
      ...optional("timeoutMs", words.timeout),
      ...optional("success", words.success),
      ...optional("failure", words.failure),
    };
  },
  // Extensions are printed as they were written.
  print: () => undefined,
  schema: probeWords.schema,
};

function optional<Key extends string, T>(key: Key, value: T | undefined): { [K in Key]?: T } {
  return value === undefined ? {} : ({ [key]: value } as { [K in Key]?: T });
}

function probeActions(words: ProbeWords): readonly ProbeAction[] {
  const { http, tcp, grpc, exec } = words;
  return [
    ...(http === undefined
      ? []
      : [
          {
            kind: "http" as const,
            port: http.port,
            path: http.path ?? "/",
            headers: http.headers ?? {},
            status: http.status ?? [{ from: 200, to: 399 }],
          },
        ]),
    ...(tcp === undefined ? [] : [{ kind: "tcp" as const, port: tcp.port }]),
    ...(grpc === undefined
      ? []
      : [{ kind: "grpc" as const, port: grpc.port, service: grpc.service ?? "" }]),
    ...(exec === undefined || exec === null ? [] : [{ kind: "exec" as const, command: exec }]),
  ];
}

const probes = record<Probes>(
  {
    startup: field("startup", probe),
    ready: field("ready", probe),
    live: field("live", probe),
  },
  { closed: true, misplaced: { readiness: "ready", liveness: "live", start: "startup" } },
);

const requests = record<NonNullable<ServiceWishes["requests"]>>(
  { cpuMillis: field("cpus", cpuMillis), memoryBytes: field("memory", bytes()) },
  { closed: true, misplaced: { cpu: "cpus", mem: "memory" } },
);

const affinityWords = record<AffinityWish>(
  {
    by: field("by", oneOf(["source"]), { required: true }),
    timeoutMs: field("timeout", durationMs),
  },
  closed,
);

/** `source`, or with a time. */
const affinity: Codec<AffinityWish> = {
  read(tree, path, reading) {
    if (tree.kind === "scalar" && tree.text === "source") return { by: "source" };
    return affinityWords.read(tree, path, reading);
  },
  print: (value, format) =>
    value.timeoutMs === undefined ? value.by : affinityWords.print(value, format),
  schema: { anyOf: [{ type: "string", enum: ["source"] }, affinityWords.schema] },
};

/** Addresses by network: one, `first-last`, or a list of these. */
const addressList: Codec<readonly string[]> = {
  read(tree, path, reading) {
    const items = tree.kind === "seq" ? tree.items : [tree];
    const addresses: string[] = [];
    for (const item of items) {
      const found = item.kind === "scalar" ? expandAddresses(item.text) : undefined;
      if (found === undefined) {
        refuse(reading, item, path, {
          found: item.kind === "scalar" ? `is ${JSON.stringify(item.text)}` : kindName(item),
          expected: `10.9.0.10 or 10.9.0.10-10.9.0.19, at most ${ADDRESSES_MAX} addresses`,
        });
      } else addresses.push(...found);
    }
    return addresses;
  },
  print: (addresses) => [...addresses],
  schema: { type: ["string", "array"] },
};

const addresses = tableOf(addressList);

/** `gpu`, or `team=data`. */
const toleration: Codec<TolerationWish> = {
  read(tree, path, reading) {
    const match =
      tree.kind === "scalar" ? /^([^=\s]{1,128})(?:=(.{0,256}))?$/.exec(tree.text) : null;
    if (match === null) {
      return refuse(reading, tree, path, {
        found: tree.kind === "scalar" ? `is ${JSON.stringify(tree.text)}` : kindName(tree),
        expected: "the key of a taint, or key=value",
      });
    }
    const [, key = "", value] = match;
    return { key, ...optional("value", value) };
  },
  print: ({ key, value }) => (value === undefined ? key : `${key}=${value}`),
  schema: { type: "string" },
};

/** Printed also where it is 0, which switches a score off. */
const weight: Codec<number> = {
  ...integer({ min: 0, max: WEIGHT_MAX }),
  print: (value) => value,
};

/** `weights`, of a service and of the stack. */
export const weights = record<WeightWishes>(
  {
    fit: field("fit", weight, { keepZero: true }),
    spread: field("spread", weight, { keepZero: true }),
    affinity: field("affinity", weight, { keepZero: true }),
    images: field("images", weight, { keepZero: true }),
    stability: field("stability", weight, { keepZero: true }),
    taints: field("taints", weight, { keepZero: true }),
    failures: field("failures", weight, { keepZero: true }),
  },
  closed,
);

const deviceShare = record<DeviceShareWish>(
  {
    kind: field("kind", text, { required: true }),
    count: field("count", integer({ min: 1, max: DEVICES_OF_A_KIND_MAX })),
    shareMillis: field("share", cpuMillis),
    models: field("models", texts),
  },
  { closed: true, misplaced: { model: "models", fraction: "share" } },
);

/** `services.*.x-berth`. */
export const serviceWishes = record<ServiceWishes>(
  {
    probes: field("probes", probes),
    routes: field("routes", list(route)),
    bind: field("bind", oneOf(["host"])),
    drainMs: field("drain", durationMs),
    minHealthyMs: field("min_healthy", durationMs),
    progressDeadlineMs: field("progress_deadline", durationMs),
    requests: field("requests", requests),
    affinity: field("affinity", affinity),
    addresses: field("addresses", addresses),
    tolerations: field("tolerations", list(toleration)),
    strategy: field("strategy", oneOf(STRATEGY_WISHES)),
    weights: field("weights", weights),
    class: field("class", oneOf(CLASS_WISHES)),
    devices: field("devices", list(deviceShare)),
    failover: field("failover", oneOf(["wait", "fence"])),
  },
  closed,
);
