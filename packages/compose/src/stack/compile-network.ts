/** Networks, ports and routes of a service, and the networks of the stack. */

import type { NetworkSpec, PublishedPort, ServiceSpec } from "@berth/protocol";
import type { ComposeNetwork, NetworkAttachment } from "../model/network-model.ts";
import type { ComposeProject } from "../model/project-model.ts";
import type { ComposeService, ServicePort } from "../model/service-model.ts";
import { CONTAINER_NAME } from "../spec/service-codec.ts";
import type { ProblemList } from "./compile-problem.ts";
import { presentFields } from "./present-fields.ts";

/** What `network_mode`, `pid` and `volumes_from` say about sharing with another service. */
export interface PodWish {
  readonly podWith: string | undefined;
  readonly podShares: ServiceSpec["podShares"];
}

/** What `network_mode` may say here. */
const NETWORK_MODES = /^(?:|none|host|bridge|default|service:.+)$/;

export function compileNetworks(
  name: string,
  service: ComposeService,
  options: { readonly problems: ProblemList; readonly linked: LinkAliases },
): Pick<ServiceSpec, "networks" | "networkMode"> {
  const { problems, linked } = options;
  const mode = service.networkMode;
  if (mode !== undefined && !NETWORK_MODES.test(mode)) {
    problems.error(
      ["services", name, "network_mode"],
      `is ${JSON.stringify(mode)}; expected none, host, bridge or service:NAME; networks by name stand under networks`,
    );
  }
  if (mode === "host" || mode === "none") return { networks: {}, networkMode: mode };
  if (mode?.startsWith("service:")) return { networks: {}, networkMode: "networks" };
  if (mode?.startsWith("container:")) {
    problems.error(
      ["services", name, "network_mode"],
      "containers from outside the stack cannot be joined; use service:NAME",
    );
  }
  const uses = Object.entries(service.networks ?? { default: {} })
    .toSorted(([, a], [, b]) => rankOf(b) - rankOf(a) || (b?.priority ?? 0) - (a?.priority ?? 0))
    .map(([network, use], index) => {
      const own = service.containerName ?? "";
      const named = CONTAINER_NAME.test(own) ? [own] : [];
      const aliases = [...(use?.aliases ?? []), ...named, ...(linked.get(name) ?? [])];
      return [
        network,
        presentFields<ServiceSpec["networks"][string]>({
          aliases: [...new Set(aliases)],
          ipv4Address: use?.ipv4Address,
          ipv6Address: use?.ipv6Address,
          addresses: service.xBerth?.addresses?.[network],
          // The service's own key speaks of the network with the default route.
          macAddress: use?.macAddress ?? (index === 0 ? service.macAddress : undefined),
          interfaceName: use?.interfaceName || undefined,
        }),
      ] as const;
    });
  refuseDoubleInterfaces(name, uses, problems);
  return { networks: Object.fromEntries(uses), networkMode: "networks" };
}

/** What the kernel takes as the name of an interface. */
const INTERFACE_NAME = /^(?!\.{1,2}$)[^\s/:]{1,15}$/;

/** Interfaces without a name of the file are eth0, eth1 ... in order: the first has the default route. */
function refuseDoubleInterfaces(
  service: string,
  uses: readonly (readonly [string, ServiceSpec["networks"][string]])[],
  problems: ProblemList,
): void {
  const taken = new Map<string, string>([["lo", "the loop"]]);
  for (const [index, [network, { interfaceName }]] of uses.entries()) {
    const path = ["services", service, "networks", network, "interface_name"];
    const name = interfaceName ?? `eth${index}`;
    const other = taken.get(name);
    if (!INTERFACE_NAME.test(name)) {
      const expected = "1 to 15 characters without blanks, slashes and colons";
      problems.error(path, `is ${JSON.stringify(name)}; expected ${expected}`);
    } else if (other !== undefined) problems.error(path, `${name} is the interface of ${other}`);
    taken.set(name, `network ${network}`);
  }
}

/** The first network has the default route: the highest `gw_priority`, then the highest `priority`. */
function rankOf(use: NetworkAttachment | undefined): number {
  return use?.gatewayPriority ?? 0;
}

/** Names that others call a service by (`links: ["db:database"]`), by service. */
export type LinkAliases = ReadonlyMap<string, readonly string[]>;

/** Aliases of all links; one that would mean two services is an error where the second stands. */
export function linkAliases(project: ComposeProject, problems: ProblemList): LinkAliases {
  const owners = new Map<string, string>();
  const aliases = new Map<string, string[]>();
  for (const [name, service] of Object.entries(project.services)) {
    for (const [index, link] of (service.links ?? []).entries()) {
      const [target = "", alias = target] = link.split(":");
      if (alias === target) continue;
      const owner = owners.get(alias) ?? (project.services[alias] === undefined ? target : alias);
      if (owner !== target) {
        const message = `the alias "${alias}" means ${owner} already; a name has one meaning on a network`;
        problems.error(["services", name, "links", index], message);
        continue;
      }
      if (!owners.has(alias)) aliases.set(target, [...(aliases.get(target) ?? []), alias]);
      owners.set(alias, target);
    }
  }
  return aliases;
}

export function compilePod(name: string, service: ComposeService, problems: ProblemList): PodWish {
  const shares = new Map<string, string>();
  const note = (what: string, text: string | undefined) => {
    if (text?.startsWith("service:")) shares.set(what, text.slice("service:".length));
  };
  note("network", service.networkMode);
  note("pid", service.pid);
  note("ipc", service.ipc);
  const from = (service.volumesFrom ?? []).flatMap((text, index) =>
    volumesPartner(text, ["services", name, "volumes_from", index], problems),
  );
  for (const other of from) shares.set("volumes", other);
  const partners = [...new Set([...shares.values(), ...from])];
  if (partners.length > 1) {
    problems.error(
      ["services", name],
      `shares with ${partners.join(" and ")}: a service can join one other service`,
    );
  }
  return {
    podWith: partners[0],
    podShares:
      shares.size === 0 ? undefined : ([...shares.keys()] as NonNullable<ServiceSpec["podShares"]>),
  };
}

/** `SERVICE[:ro]`; containers from outside are not known here. */
function volumesPartner(
  text: string,
  path: readonly (string | number)[],
  problems: ProblemList,
): string[] {
  const [first = "", mode] = text.split(":");
  if (first === "container") {
    problems.error(path, "containers from outside the stack cannot be joined; name a service");
    return [];
  }
  if (mode === "ro") problems.warn(path, "ro is not honoured: volumes are shared as they are");
  return [first];
}

export function compilePorts(
  name: string,
  service: ComposeService,
  problems: ProblemList,
): PublishedPort[] {
  return (service.ports ?? []).flatMap((port, index) => {
    const path = ["services", name, "ports", index];
    const protocol = port.protocol ?? "tcp";
    if (protocol !== "tcp" && protocol !== "udp") {
      problems.error(path, `the protocol ${protocol} cannot be published`);
      return [];
    }
    return [
      presentFields<PublishedPort>({
        target: port.target,
        ...publishedPort(port),
        hostAddress: port.hostIp,
        protocol,
      }),
    ];
  });
}

/** One port, or the range from which the platform chooses one. */
function publishedPort(port: ServicePort): Pick<PublishedPort, "published" | "publishedRange"> {
  if (port.published === undefined || port.published === "") return {};
  const [first = 0, last = first] = port.published.split("-").map(Number);
  if (last !== first) return { publishedRange: { first, last } };
  return first === 0 ? {} : { published: first };
}

/** `expose` may name ranges and protocols; only TCP ports gate readiness. */
export function compileExpose(service: ComposeService): number[] {
  return (service.expose ?? []).flatMap((text) => {
    const [range = "", protocol = "tcp"] = text.split("/");
    if (protocol !== "tcp") return [];
    const [first, last] = range.split("-").map(Number);
    if (first === undefined || !Number.isInteger(first)) return [];
    const count = (last ?? first) - first + 1;
    return Array.from({ length: Math.min(Math.max(count, 1), EXPOSE_MAX) }, (_, i) => first + i);
  });
}

/** More exposed ports than this are not probed. */
const EXPOSE_MAX = 32;

/** How long a source is remembered that the file sets no time for. */
const AFFINITY_MS = 3 * 60 * 60 * 1_000;

export function compileAffinity(service: ComposeService): ServiceSpec["affinity"] {
  const wish = service.xBerth?.affinity;
  return wish && { kind: wish.by, timeoutMs: wish.timeoutMs ?? AFFINITY_MS };
}

export function compileStackNetworks(
  project: ComposeProject,
  used: ReadonlySet<string>,
  problems: ProblemList,
): Record<string, NetworkSpec> {
  const specs: Record<string, NetworkSpec> = {};
  for (const [key, network] of Object.entries(project.networks)) {
    if (network.driver !== undefined && !["bridge", "overlay"].includes(network.driver)) {
      problems.warn(
        ["networks", key, "driver"],
        `the driver ${network.driver} is not used: networks are the platform's own`,
      );
    }
    if (network.external !== true && network.name !== `${project.name}_${key}`) {
      problems.warn(
        ["networks", key, "name"],
        `is not used: other stacks find it as ${project.name}_${key}`,
      );
    }
    specs[key] = presentFields<NetworkSpec>({
      internal: network.internal ?? false,
      external: network.external === true ? externalNetwork(key, network.name) : undefined,
      ...(network.external === true ? {} : compileIpam(key, network, problems)),
      mtu: compileOptions(key, network, problems),
      labels: network.labels ?? {},
    });
  }
  if (used.has("default") && specs["default"] === undefined) {
    specs["default"] = { internal: false, labels: {} };
  }
  return specs;
}

const OPTION_MTU = "com.docker.network.driver.mtu";
const MTU_MIN = 1_280;
const MTU_MAX = 65_535;

/** What becomes of what people ask of the engine's drivers; each key has its own answer. */
const DRIVER_OPTIONS: ReadonlyMap<string, string> = new Map([
  ["com.docker.network.bridge.name", "bridges are named by the platform, alike on all nodes"],
  [
    "com.docker.network.bridge.enable_icc",
    "services of one network reach each other; keep them apart by networks of their own",
  ],
  [
    "com.docker.network.bridge.enable_ip_masquerade",
    "connections to the outside have the node's address; internal: true keeps them in",
  ],
  [
    "com.docker.network.bridge.host_binding_ipv4",
    "write the address with the port: 127.0.0.1:8080:80",
  ],
  ["com.docker.network.bridge.gateway_mode_ipv4", "the platform's firewall decides"],
  ["com.docker.network.bridge.gateway_mode_ipv6", "the platform's firewall decides"],
  [
    "encrypted",
    "networks between nodes are NOT encrypted by the platform: use TLS, or a network of the hosts that is",
  ],
]);

/** The size of packets; every other option is warned of with what happens instead. */
function compileOptions(
  key: string,
  network: ComposeNetwork,
  problems: ProblemList,
): number | undefined {
  let mtu: number | undefined;
  for (const [option, value] of Object.entries(network.driverOpts ?? {})) {
    const path = ["networks", key, "driver_opts", option];
    if (option !== OPTION_MTU) {
      const instead = DRIVER_OPTIONS.get(option) ?? "networks are the platform's own";
      problems.warn(path, `is not honoured: ${instead}`);
    } else if (/^\d+$/.test(value) && Number(value) >= MTU_MIN && Number(value) <= MTU_MAX) {
      mtu = Number(value);
    } else {
      const found = `is ${JSON.stringify(value)}`;
      problems.error(path, `${found}; expected a number of bytes from ${MTU_MIN} to ${MTU_MAX}`);
    }
  }
  return mtu;
}

type IpamSpec = Pick<
  NetworkSpec,
  "subnet" | "gateway" | "ipRange" | "auxAddresses" | "ipv6" | "subnet6"
>;

/** Any text loads, as in the reference; an empty one, as an unset variable leaves it, wishes nothing. */
function compileIpam(key: string, network: ComposeNetwork, problems: ProblemList): IpamSpec {
  const pools = network.ipam?.config ?? [];
  const at = (index: number, field: string) => ["networks", key, "ipam", "config", index, field];
  const spec: { -readonly [K in keyof IpamSpec]: IpamSpec[K] } = {};
  for (const [index, pool] of pools.entries()) {
    const subnet = pool.subnet ?? "";
    const isV6 = subnet.includes(":");
    if (isV6 ? spec.subnet6 !== undefined : spec.subnet !== undefined) {
      problems.error(at(index, "subnet"), "a network has one range of each family");
      continue;
    }
    if (isV6) {
      spec.subnet6 = subnet;
      continue;
    }
    if (subnet !== "" && !/^\d{1,3}(\.\d{1,3}){3}\/\d{1,2}$/.test(subnet)) {
      const found = `is ${JSON.stringify(subnet)}`;
      const message = `${found}; expected a range of IPv4 addresses such as 10.5.0.0/16`;
      problems.error(at(index, "subnet"), message);
      continue;
    }
    if (subnet !== "") spec.subnet = subnet;
    for (const [field, value] of [
      ["gateway", pool.gateway],
      ["ip_range", pool.ipRange],
    ] as const) {
      if (value === undefined || value === "") continue;
      if (subnet === "") problems.error(at(index, field), "needs the subnet that it is part of");
      else if (field === "gateway") spec.gateway = value;
      else spec.ipRange = value;
    }
    if (pool.auxAddresses !== undefined) spec.auxAddresses = pool.auxAddresses;
  }
  if (network.enableIpv6 === true) spec.ipv6 = true;
  else if (spec.subnet6 !== undefined) {
    const message = "is not used: the network has no enable_ipv6: true";
    problems.warn(["networks", key, "ipam", "config"], message);
  }
  return spec;
}

/**
 * `STACK_NETWORK`, as Compose names networks, or `STACK/NETWORK`. The first underscore divides: networks may
 * have more of them (`shop_back_end`), stacks have none.
 */
function externalNetwork(key: string, name: string | undefined) {
  const text = name ?? key;
  const at = text.search(/[/_]/);
  if (at < 0) return { stack: text, name: "default" };
  return { stack: text.slice(0, at), name: text.slice(at + 1) };
}
