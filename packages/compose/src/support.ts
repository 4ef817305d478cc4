/**
 * The support table: which keys the platform honours, which in part, which not, and what happens instead.
 *
 * One place for the loader's warnings and for docs/reference/compose.md, which is made from it. Keys that are not
 * named here are honoured as the specification says. Patterns: `*` is any name, list items have no step of their own.
 */

/** How far a key is honoured by the native engine. */
export type SupportLevel = "honoured" | "partly" | "not";

export interface SupportEntry {
  /** `services.*.devices`. */
  readonly pattern: string;
  readonly level: SupportLevel;
  /** What happens instead; for `honoured`, how it is done where that is not plain. */
  readonly instead: string;
  /** Values with which the key asks for nothing special, so that no warning is due. */
  readonly unless?: readonly string[];
}

function not(pattern: string, instead: string, unless?: readonly string[]): SupportEntry {
  return { pattern, level: "not", instead, ...(unless === undefined ? {} : { unless }) };
}

function partly(pattern: string, instead: string, unless?: readonly string[]): SupportEntry {
  return { pattern, level: "partly", instead, ...(unless === undefined ? {} : { unless }) };
}

function honoured(pattern: string, instead: string): SupportEntry {
  return { pattern, level: "honoured", instead };
}

/** See the module comment. */
export const SUPPORT: readonly SupportEntry[] = [
  not("version", "it is obsolete and says nothing; remove it"),
  not("services.*.attach", "logs of every copy are kept and shown by berth logs"),
  not("services.*.build.ssh", "the engine's builder is not given keys or agents"),
  not("services.*.build.cache_to", "the engine's own build cache is used"),
  not("services.*.build.entitlements", "builds have no entitlements"),
  not("services.*.build.privileged", "builds are never privileged"),
  not("services.*.build.provenance", "no attestation is made"),
  not("services.*.build.sbom", "no attestation is made"),
  not(
    "services.*.build.secrets",
    "the engine's builder gets no secrets; use build arguments for what is not secret",
  ),
  not("services.*.build.additional_contexts", "a build has one context"),
  partly("services.*.build.platforms", "the image is built for the builder's own platform"),
  partly(
    "services.*.container_name",
    "it is a name in DNS; containers at the engine have names of the platform",
  ),
  honoured(
    "services.*.links",
    "the name and its alias resolve for everybody on the networks; old variables are not set",
  ),
  honoured(
    "services.*.pull_policy",
    "decided at each deploy, when images become digests; a missing image's digest comes from its registry",
  ),
  honoured("services.*.build.cache_from", "with the engine's classic builder: layers of images"),
  honoured(
    "services.*.gpus",
    "nodes that declare gpu (berth node set), through the engine's driver; all counts as one",
  ),
  honoured(
    "services.*.deploy.resources.reservations.devices",
    "as gpus; kinds other than gpu are not counted, only asked of the engine",
  ),
  honoured("services.*.isolation", "as the engine has it: Linux knows default only"),
  honoured("services.*.build.isolation", "as the engine has it: Linux knows default only"),
  not("services.*.credential_spec", "only Windows containers have credential specs"),
  not("services.*.cpu_count", "only Windows containers have it; use cpus"),
  not("services.*.cpu_percent", "only Windows containers have it; use cpus"),
  not("services.*.develop", "it is for docker compose watch; berth deploy makes a new release"),
  not(
    "services.*.external_links",
    "attach both stacks to an external network and use the service's name",
  ),
  not("services.*.models", "no language models are provided"),
  not("models", "no language models are provided"),
  not("services.*.provider", "only containers are run"),
  not(
    "services.*.use_api_socket",
    "the engine's socket is given by a bind that the project's policy allows",
  ),
  not("services.*.volumes.consistency", "it has an effect on macOS only"),
  partly(
    "services.*.depends_on.*.restart",
    "dependants are not restarted when a service is restarted by hand",
  ),
  partly(
    "services.*.deploy.endpoint_mode",
    "there are no virtual addresses yet: names answer the copies' addresses, as with dnsrr",
    ["dnsrr"],
  ),
  partly("services.*.deploy.mode", "replicated and global are known", ["replicated", "global"]),
  not("services.*.deploy.rollback_config", "rollbacks go at the pace of update_config"),
  not(
    "services.*.deploy.update_config.max_failure_ratio",
    "one copy that fails for good fails the rollout",
    ["0"],
  ),
  not(
    "services.*.deploy.resources.reservations.generic_resources",
    "nodes state no resources beside CPU, memory, disk and processes",
  ),
  not("x-berth.engine", "stacks run on this platform's own nodes, as yet", ["native"]),
  partly("services.*.networks.*.link_local_ips", "not set"),
  partly("services.*.networks.*.interface_name", "interfaces are named by the engine"),
  partly("services.*.networks.*.driver_opts", "networks are the platform's own"),
  not(
    "services.*.ports.mode",
    "ports are published on the ingress nodes; host publishes on the copy's own node",
    ["host", "ingress"],
  ),
  partly("networks.*.driver", "networks are the platform's own bridges, joined across nodes", [
    "bridge",
    "overlay",
    "default",
  ]),
  not("networks.*.driver_opts", "networks are the platform's own"),
  not(
    "networks.*.attachable",
    "every network can be attached to by other stacks of the environment when external",
  ),
  partly("networks.*.ipam.driver", "addresses are assigned by the platform", ["default"]),
  not("networks.*.enable_ipv4", "networks always have IPv4", ["true"]),
  not("configs.*.template_driver", "contents are taken as they are"),
  not("secrets.*.template_driver", "contents are taken as they are"),
  not("secrets.*.driver", "secrets are kept by the platform"),
  not("secrets.*.driver_opts", "secrets are kept by the platform"),
  honoured("services.*.privileged", "where the project's policy allows it"),
  honoured("services.*.devices", "where the project's policy allows it"),
  honoured(
    "services.*.volumes",
    "relative binds become file objects or seeded volumes, absolute ones need the project's policy",
  ),
];

interface PatternNode {
  entry?: SupportEntry;
  readonly below: Map<string, PatternNode>;
}

function buildIndex(): ReadonlyMap<string, PatternNode> {
  const root: PatternNode = { below: new Map() };
  const byPattern = new Map<string, PatternNode>([["", root]]);
  for (const entry of SUPPORT) {
    let node = root;
    const steps = entry.pattern.split(".");
    for (const [index, step] of steps.entries()) {
      const next = node.below.get(step) ?? { below: new Map() };
      node.below.set(step, next);
      byPattern.set(steps.slice(0, index + 1).join("."), next);
      node = next;
    }
    node.entry = entry;
  }
  return byPattern;
}

const INDEX = buildIndex();

/** What the table says one key below `pattern`; `undefined` where it says nothing from there on. */
export function supportAt(
  pattern: string,
  key: string,
): { readonly pattern: string; readonly entry: SupportEntry | undefined } | undefined {
  const below = INDEX.get(pattern)?.below;
  const step = below?.has(key) === true ? key : "*";
  const node = below?.get(step);
  if (node === undefined) return undefined;
  return { pattern: pattern === "" ? step : `${pattern}.${step}`, entry: node.entry };
}
