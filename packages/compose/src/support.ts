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
  not(
    "services.*.build.ssh",
    "nodes build with the engine's classic builder, which takes no keys; build with docker buildx build --ssh --push and name the image under image:",
  ),
  not("services.*.build.cache_to", "the engine's own build cache is used"),
  not("services.*.build.entitlements", "builds have no entitlements"),
  not("services.*.build.privileged", "builds are never privileged"),
  not("services.*.build.provenance", "no attestation is made"),
  not("services.*.build.sbom", "no attestation is made"),
  not(
    "services.*.build.secrets",
    "nodes build with the engine's classic builder, which takes no secrets; build with docker buildx build --secret --push and name the image under image:",
  ),
  not(
    "services.*.build.additional_contexts",
    "nodes build with the engine's classic builder, which has one context; copy what is needed into it, or build with docker buildx build --build-context --push",
  ),
  partly("services.*.build.no_cache_filter", "the whole image is built without the cache"),
  partly(
    "services.*.build.platforms",
    "the image is built for the first of them; for several, docker buildx build --platform --push, and image:",
  ),
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
    "nodes that have gpu (found, declared, or stated by berth node set): each copy gets its own; all counts as one",
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
    "services.*.pre_start",
    "not run; make it a service, and depend on it with condition: service_completed_successfully",
  ),
  not(
    "services.*.use_api_socket",
    "the engine's socket is given by a bind that the project's policy allows",
  ),
  not("services.*.volumes.consistency", "it has an effect on macOS only"),
  honoured(
    "services.*.deploy.resources.reservations.generic_resources",
    "devices that nodes have of the kind, each copy its own; or counted against what berth node set NODE --resource KIND=NUMBER states",
  ),
  not(
    "services.*.deploy.resources.reservations.pids",
    "processes are limited (limits.pids), not set aside",
  ),
  not("services.*.deploy.resources.limits.devices", "devices are asked for under reservations"),
  not(
    "services.*.deploy.resources.limits.generic_resources",
    "resources are asked for under reservations",
  ),
  honoured("services.*.deploy.labels", "on the containers, below the service's own labels"),
  honoured(
    "services.*.deploy.rollback_config",
    "when a failed rollout goes back; what it leaves out is as in update_config, without pauses",
  ),
  honoured(
    "services.*.depends_on.*.restart",
    "with berth restart, and when a release replaces what it depends on",
  ),
  honoured(
    "services.*.logging.driver",
    "json-file and local mean our own log store (berth logs); of others a warning, for it is used all the same",
  ),
  honoured(
    "services.*.logging.options",
    "max-size and max-file bound what the log store keeps of a copy; others mean nothing to it",
  ),
  not(
    "services.*.networks.*.link_local_ips",
    "copies have planned addresses only: nothing else is isolated, nor known to the other nodes of a network",
  ),
  partly(
    "services.*.networks.*.interface_name",
    "needs Engine 28.1 or newer; the copy is refused where the engine is older",
  ),
  not(
    "services.*.networks.*.driver_opts",
    "networks are the platform's own; interface_name and sysctls have keys of their own",
  ),
  partly(
    "services.*.networks.*.priority",
    "the highest has the default route, unless a gw_priority is higher; for services of which only one copy may run, engines before 28 choose it",
  ),
  partly(
    "services.*.networks.*.gw_priority",
    "the highest has the default route; for services of which only one copy may run, engines before 28 choose it",
  ),
  honoured(
    "services.*.ports.mode",
    "host and ingress are alike: open on the nodes that run a copy, leading to all copies",
  ),
  not("services.*.ports.name", "records for SRV go by number"),
  not("services.*.ports.app_protocol", "a port passes bytes; routes speak HTTP"),
  partly(
    "services.*.volumes.volume.subpath",
    "needs Engine 26 or newer; the deploy is refused where the engine is older",
  ),
  not("services.*.volumes.volume.labels", "labels stand with the volume at the top"),
  not("services.*.volumes.image", "images are not mounted; the deploy is refused"),
  not("x-berth.engine", "stacks run on this platform's own nodes, as yet", ["native"]),
  partly("networks.*.driver", "networks are the platform's own bridges, joined across nodes", [
    "bridge",
    "overlay",
    "default",
  ]),
  honoured(
    "networks.*.driver_opts",
    "com.docker.network.driver.mtu, when the network is made; of every other one a warning says what happens instead",
  ),
  not(
    "networks.*.attachable",
    "every network can be attached to by other stacks of the environment when external",
  ),
  not("networks.*.ipam.driver", "addresses are assigned by the platform", ["default"]),
  not("networks.*.ipam.options", "addresses are assigned by the platform"),
  honoured(
    "networks.*.name",
    "with external it names a network of another stack, STACK_NETWORK; another name of its own is warned of and not used",
  ),
  honoured(
    "volumes.*.name",
    "with external it names a volume of the engine, or STACK_VOLUME; another name of its own is warned of and not used",
  ),
  honoured(
    "configs.*.external",
    "the environment's own, made by berth config-file create; a deploy takes the newest version and its release keeps it",
  ),
  honoured(
    "configs.*.name",
    "with external it names a config of the environment; another name of its own is warned of and not used",
  ),
  not("configs.*.labels", "they are not kept"),
  not("configs.*.driver", "configs are kept by the platform"),
  not("configs.*.driver_opts", "configs are kept by the platform"),
  not(
    "secrets.*.content",
    "refused: give file or environment, so that no secret stands in the file",
  ),
  honoured(
    "secrets.*.external",
    "the environment's own, made by berth secret create; a deploy takes the newest version and its release keeps it",
  ),
  honoured(
    "secrets.*.name",
    "with external it names a secret of the environment; another name of its own is warned of and not used",
  ),
  not("secrets.*.labels", "they are not kept"),
  not("networks.*.enable_ipv4", "networks always have IPv4", ["true"]),
  not("configs.*.template_driver", "contents are taken as they are"),
  not("secrets.*.template_driver", "contents are taken as they are"),
  not("secrets.*.driver", "secrets are kept by the platform"),
  not("secrets.*.driver_opts", "secrets are kept by the platform"),
  honoured(
    "services.*.storage_opt",
    "where the engine's disk has quotas; elsewhere the engine's refusal is the deploy's",
  ),
  honoured("services.*.cpu_rt_period", "where the kernel has real-time scheduling for groups"),
  honoured("services.*.cpu_rt_runtime", "where the kernel has real-time scheduling for groups"),
  honoured("services.*.blkio_config", "weights where the kernel's scheduler of disks has them"),
  honoured("services.*.oom_kill_disable", "with control groups of version 1 only"),
  honoured("services.*.mem_swappiness", "with control groups of version 1 only"),
  honoured("services.*.annotations", "where the engine takes them (Engine 24 and newer)"),
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
