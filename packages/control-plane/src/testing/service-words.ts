/** Services in one line of a dialogue: `copies=3 order=stop-first env=V:2 needs=db:healthy volume=data`. */

import { parseBytes, parseDuration, present } from "@berth/base";
import type { DependencySpec, ServiceSpec } from "@berth/protocol";
import { serviceSpec, writes } from "./specs.ts";

type Change = (spec: ServiceSpec, value: string) => ServiceSpec;

const WORDS: Readonly<Record<string, Change>> = {
  image: (spec, image) => ({ ...spec, image }),
  copies: (spec, value) => ({ ...spec, copies: Number(value) }),
  order: (spec, order) => update(spec, { order: order === "stop-first" ? order : "start-first" }),
  parallelism: (spec, value) => update(spec, { parallelism: Number(value) }),
  delay: (spec, value) => update(spec, { delayMs: duration(value) }),
  healthy: (spec, value) => update(spec, { minHealthyMs: duration(value) }),
  deadline: (spec, value) => update(spec, { progressDeadlineMs: duration(value) }),
  action: (spec, value) =>
    update(spec, { failureAction: value === "pause" || value === "continue" ? value : "rollback" }),
  ratio: (spec, value) => update(spec, { maxFailureRatio: Number(value) }),
  rollback: (spec, value) => {
    const [parallelism = "", delay = "0s", action] = value.split(":");
    const failureAction = action === "pause" ? ({ failureAction: action } as const) : {};
    const pace = { parallelism: Number(parallelism), delayMs: duration(delay) };
    return { ...spec, rollback: { ...pace, ...failureAction } };
  },
  takes: (spec, value) => {
    const [name = "", count = "1"] = value.split(":");
    return { ...spec, countables: { ...spec.countables, [name]: Number(count) } };
  },
  env: (spec, value) => {
    const [name = "", text = ""] = value.split(":");
    return { ...spec, environment: { ...spec.environment, [name]: text } };
  },
  needs: (spec, value) => {
    const [name = "", condition = "started", word] = value.split(":");
    const dependency: DependencySpec = {
      condition: condition === "healthy" || condition === "completed" ? condition : "started",
      required: word !== "optional",
      ...(word === "follows" ? { restart: true } : {}),
    };
    return { ...spec, dependsOn: { ...spec.dependsOn, [name]: dependency } };
  },
  restart: (spec, value) => {
    const [policy, attempts] = value.split(":");
    const known = policy === "no" || policy === "on-failure" ? policy : "always";
    const maxAttempts = attempts === undefined ? {} : { maxAttempts: Number(attempts) };
    return { ...spec, restart: { policy: known, ...maxAttempts } };
  },
  mode: (spec, value) =>
    value === "job-each-node"
      ? { ...spec, mode: "job", everyNode: true }
      : { ...spec, mode: value === "job" || value === "global" ? value : "replicated" },
  volume: (spec, value) => ({ ...spec, mounts: [...spec.mounts, ...writes(value)] }),
  reads: (spec, volume) => ({
    ...spec,
    mounts: [...spec.mounts, { kind: "volume", volume, target: `/${volume}`, readOnly: true }],
  }),
  pod: (spec, podWith) => ({ ...spec, podWith, podShares: ["network"], networks: {} }),
  constraint: (spec, value) => ({ ...spec, constraints: [...spec.constraints, value] }),
  failover: (spec) => ({ ...spec, failover: "fence" as const }),
  tolerates: (spec, key) => ({
    ...spec,
    tolerations: [...(spec.tolerations ?? []), { key }],
  }),
  strategy: (spec, value) => {
    const strategy = value === "tightest" || value === "room" ? value : "balanced";
    return { ...spec, strategy };
  },
  class: (spec, value) => {
    const serviceClass = value === "burstable" || value === "best-effort" ? value : "guaranteed";
    return { ...spec, class: serviceClass };
  },
  weight: (spec, value) => {
    const [name = "", weight = "0"] = value.split(":");
    return { ...spec, weights: { ...spec.weights, [name]: Number(weight) } };
  },
  device: (spec, value) => {
    const [kind = "", count = "1", shareMillis = "1000", models = ""] = value.split(":");
    const wish = {
      ...{ kind, count: Number(count), shareMillis: Number(shareMillis) },
      models: models.split("|").filter((model) => model !== ""),
    };
    return { ...spec, devices: [...(spec.devices ?? []), wish] };
  },
  memory: (spec, value) => ({
    ...spec,
    requests: { memoryBytes: present(parseBytes(value), "a size") },
  }),
  port: (spec, value) => {
    const [published = "", target = ""] = value.split(":");
    const port = { target: Number(target), published: Number(published), protocol: "tcp" } as const;
    return { ...spec, ports: [...spec.ports, port] };
  },
  route: (spec, host) => ({ ...spec, routes: [...spec.routes, { host, path: "/", port: 80 }] }),
  flag: (spec, value) =>
    value === "privileged"
      ? { ...spec, engine: { ...spec.engine, privileged: true } }
      : { ...spec, networkMode: "host", networks: {} },
  host: (spec, source) => ({
    ...spec,
    mounts: [...spec.mounts, { kind: "host", source, target: "/host", readOnly: true }],
  }),
};

/** The service that the words describe. */
export function serviceOf(words: readonly string[]): ServiceSpec {
  return words.reduce((spec, word) => {
    const at = word.indexOf("=");
    const change = WORDS[word.slice(0, at)];
    if (change === undefined) throw new SyntaxError(`no such word about services: ${word}`);
    return change(spec, word.slice(at + 1));
  }, serviceSpec());
}

function update(spec: ServiceSpec, changes: Partial<ServiceSpec["update"]>): ServiceSpec {
  return { ...spec, update: { ...spec.update, ...changes } };
}

function duration(text: string): number {
  return present(parseDuration(text), "a duration");
}
