/**
 * Which keys merge in a way of their own, by path; `*` stands for any name. All others merge by their form.
 */

/** How a key merges when not by its form. */
export type SpecialMerge =
  | "replace"
  | "keyValues"
  | "names"
  | "dependencies"
  | "list"
  | "hosts"
  | "build"
  | "ulimit"
  | "logging"
  | "ipamConfig";

/** A place in the table: what holds here, and what below. */
export interface MergeRule {
  readonly special?: SpecialMerge;
  readonly below?: Readonly<Record<string, MergeRule>>;
}

const keyValues: MergeRule = { special: "keyValues" };
const list: MergeRule = { special: "list" };
const replace: MergeRule = { special: "replace" };

const build: MergeRule = {
  special: "build",
  below: {
    args: keyValues,
    additional_contexts: keyValues,
    extra_hosts: { special: "hosts" },
    labels: keyValues,
  },
};

const service: MergeRule = {
  below: {
    annotations: keyValues,
    build,
    command: replace,
    depends_on: { special: "dependencies" },
    deploy: { below: { labels: keyValues } },
    dns: list,
    dns_opt: list,
    dns_search: list,
    entrypoint: replace,
    env_file: list,
    environment: keyValues,
    extra_hosts: { special: "hosts" },
    healthcheck: { below: { test: replace } },
    label_file: list,
    labels: keyValues,
    logging: { special: "logging" },
    models: { special: "names" },
    networks: { special: "names" },
    sysctls: keyValues,
    tmpfs: list,
    ulimits: { below: { "*": { special: "ulimit" } } },
  },
};

/** The table, from the top of a file. */
export const RULES: MergeRule = {
  below: {
    services: { below: { "*": service } },
    networks: {
      below: {
        "*": {
          below: { labels: keyValues, ipam: { below: { config: { special: "ipamConfig" } } } },
        },
      },
    },
    volumes: { below: { "*": { below: { labels: keyValues } } } },
  },
};

/** The rule one key further down. */
export function mergeRuleAt(rule: MergeRule | undefined, key: string): MergeRule | undefined {
  const below = rule?.below;
  if (below === undefined) return undefined;
  return Object.hasOwn(below, key) ? below[key] : below["*"];
}
