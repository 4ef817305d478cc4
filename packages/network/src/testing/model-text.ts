/**
 * Models as a few readable lines, for dialogue and golden tests: one line per object, the rest by default.
 *
 *     network n1 shop 10.1.0.0/24 [internal] [stack] [services=10.9.0.0/24]
 *     service shop/web n1 [alias=www,w3] [vip=10.9.0.1] [sticky=60] (seconds)   udp p2 0.0.0.0 53 shop/dns n1 53
 *     endpoint shop/web 1 n1 10.1.0.11 [draining]          attachment shop/web 1 n1 10.1.0.11
 *     route r1 shop.test,*.shop.test /api shop/web n1 8080 port p1 0.0.0.0 5432 shop/db n1 5432
 *     forwarder 10.0.0.2                                   open tcp 7710
 *     wish r1 {"compression":true}                         ingress {"httpsPort":443}
 *     certificate c1 shop.test PEMFILE [default]           acme THUMBPRINT
 *     underlay 192.0.2.1 4789                              overlay n1 100 1450 10.1.0.254
 *     peer n1 node2 192.0.2.2 4789 10.1.0.253
 *
 * `overlay` and `peer` belong to a network that stands above; `node=` of an attachment says that it is there.
 *
 * `wish` adds fields to a route or port that stands above, `ingress` to the whole.
 *
 * A service with another address on each network: `vip=n1:10.9.0.1,n2:10.9.1.1`.
 *
 * With IPv6: `net6=fd00:1::/64` of a network, `ip6=` of an endpoint or attachment, `vip6=` of a service.
 */

import { readFileSync } from "node:fs";

import {
  emptyModel,
  type IngressTarget,
  type NetworkModel,
  type NodeNetworkModel,
  type UdpPortModel,
} from "../model.ts";
import { parseModel } from "../model-parse.ts";
import type { ServiceName } from "../service-name.ts";

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer E)[] ? E[] : T[K] };

interface Draft {
  model: Mutable<NodeNetworkModel>;
  ingress: Mutable<NodeNetworkModel["ingress"]>;
  udpPorts: UdpPortModel[];
  openPorts: { protocol: "tcp" | "udp"; port: number }[];
}

type Line = (draft: Draft, words: readonly string[], options: Options) => void;
type Options = ReadonlyMap<string, string>;

const LINES: Readonly<Record<string, Line>> = {
  network({ model }, [id = "", stack = "", subnet = ""], options) {
    const serviceRange = options.get("services");
    model.networks.push({
      id,
      ...scope(stack),
      name: "default",
      bridge: `br-${id}`,
      subnet,
      gateway: subnet.replace(/\d+\/\d+$/, "1"),
      internal: options.has("internal"),
      ...ipv6Network(options.get("net6")),
      ...(serviceRange === undefined ? {} : { serviceRange }),
    });
  },
  service({ model }, [name = "", ...networkIds], options) {
    const vip = options.get("vip");
    const vip6 = options.get("vip6");
    const sticky = options.get("sticky");
    model.services.push({
      ...serviceName(name),
      networks: networkIds.map((networkId) => ({
        networkId,
        aliases: items(options.get("alias")),
        ...addressOn(vip, networkId),
        ...(vip6 === undefined ? {} : { virtualAddress6: vip6 }),
      })),
      endpointMode: options.has("dnsrr") ? "dnsrr" : "vip",
      ...(sticky === undefined
        ? {}
        : { affinity: { kind: "source", timeoutMs: Number(sticky) * 1_000 } as const }),
      ports: items(options.get("ports")).map((text) => {
        const [, portName, port, protocol] = /^(?:(.+):)?(\d+)\/(tcp|udp)$/.exec(text) ?? [];
        return {
          port: Number(port),
          protocol: protocol === "udp" ? ("udp" as const) : ("tcp" as const),
          ...(portName === undefined ? {} : { name: portName }),
        };
      }),
    });
  },
  endpoint({ model }, [name = "", slot = "", networkId = "", address = ""], options) {
    const hostname = options.get("hostname");
    model.endpoints.push({
      ...serviceName(name),
      slot: Number(slot),
      taskId: taskId(name, slot),
      networkId,
      address,
      ...address6(options),
      state: options.has("draining") ? "draining" : "ready",
      ...(options.has("remote") ? { remote: true } : {}),
      ...(hostname === undefined ? {} : { hostname }),
    });
  },
  attachment({ model }, [name = "", slot = "", networkId = "", address = ""], options) {
    const mac = macOf(address);
    const copy = { slot: Number(slot), taskId: taskId(name, slot), networkId, address, mac };
    const node = options.get("node");
    const place = node === undefined ? {} : { remote: true, node };
    model.attachments.push({ ...serviceName(name), ...copy, ...address6(options), ...place });
  },
  route({ ingress }, [id = "", hosts = "", pathPrefix = "", ...rest]) {
    ingress.httpRoutes.push({ id, hosts: items(hosts), pathPrefix, target: target(rest) });
  },
  port({ ingress }, [id = "", hostAddress = "", hostPort = "", ...rest]) {
    ingress.tcpPorts.push({ id, hostAddress, hostPort: Number(hostPort), target: target(rest) });
  },
  wish({ ingress }, [id = "", ...words]) {
    const wish: unknown = JSON.parse(words.join(" "));
    ingress.httpRoutes = ingress.httpRoutes.map((each) =>
      each.id === id ? Object.assign({ ...each }, wish) : each,
    );
    ingress.tcpPorts = ingress.tcpPorts.map((each) =>
      each.id === id ? Object.assign({ ...each }, wish) : each,
    );
  },
  ingress({ ingress }, words) {
    Object.assign(ingress, JSON.parse(words.join(" ")));
  },
  certificate({ model }, [id = "", hosts = "", file = "", isDefault]) {
    const pem = readFileSync(new URL(`../ingress/testdata/${file}`, import.meta.url), "utf8");
    const fields = isDefault === undefined ? {} : { default: true };
    model.certificates = [
      ...(model.certificates ?? []),
      { id, hosts: items(hosts), pem, ...fields },
    ];
  },
  underlay({ model }, [address = "", port = ""]) {
    model.underlay = { address, port: Number(port) };
  },
  overlay({ model }, [networkId = "", id = "", mtu = "", nodeAddress = ""]) {
    const own = { id: Number(id), mtu: Number(mtu), nodeAddress, mac: macOf(nodeAddress) };
    changeNetwork(model, networkId, (network) => ({ ...network, overlay: { ...own, peers: [] } }));
  },
  peer({ model }, [networkId = "", node = "", address = "", port = "", nodeAddress = ""]) {
    const peer = { node, address, port: Number(port), nodeAddress, mac: macOf(nodeAddress) };
    changeNetwork(model, networkId, ({ overlay, ...network }) => {
      if (overlay === undefined) throw new SyntaxError(`network ${networkId} spans no hosts`);
      return { ...network, overlay: { ...overlay, peers: [...overlay.peers, peer] } };
    });
  },
  acme({ model }, [thumbprint = ""]) {
    model.acmeThumbprint = thumbprint;
  },
  udp({ udpPorts }, [id = "", hostAddress = "", hostPort = "", ...rest]) {
    udpPorts.push({ id, hostAddress, hostPort: Number(hostPort), target: target(rest) });
  },
  forwarder({ model }, [address = ""]) {
    model.forwarders.push(address);
  },
  open({ openPorts }, [protocol, port]) {
    openPorts.push({ protocol: protocol === "udp" ? "udp" : "tcp", port: Number(port) });
  },
};

/** A function of the address, as the server's. */
function macOf(address: string): string {
  const bytes = address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"));
  return `02:42:${bytes.join(":")}`;
}

function changeNetwork(
  model: Draft["model"],
  id: string,
  change: (network: NetworkModel) => NetworkModel,
): void {
  model.networks = model.networks.map((each) => (each.id === id ? change(each) : each));
}

function address6(options: Options): { readonly address6?: string } {
  const address = options.get("ip6");
  return address === undefined ? {} : { address6: address };
}

/** `fd00:1::/64` with the gateway `fd00:1::1`. */
function ipv6Network(subnet6: string | undefined) {
  return subnet6 === undefined ? {} : { subnet6, gateway6: subnet6.replace(/\/\d+$/, "1") };
}

/** The model that the lines describe; throws with the reason when it is not a valid one. */
export function modelOf(text: string): NodeNetworkModel {
  const empty = emptyModel("c1");
  const draft: Draft = {
    model: {
      ...empty,
      generation: 1,
      networks: [],
      services: [],
      endpoints: [],
      attachments: [],
      forwarders: [],
    },
    ingress: { ...empty.ingress, httpRoutes: [], tcpPorts: [] },
    udpPorts: [],
    openPorts: [],
  };
  for (const line of text.split("\n")) {
    const [kind = "", ...words] = line.trim().split(/\s+/);
    if (kind === "" || kind.startsWith("#")) continue;
    const plain = words.filter((word) => !OPTION.test(word));
    const options = new Map(
      words
        .filter((word) => OPTION.test(word))
        .map((word) => {
          const [key = "", value = ""] = word.split("=");
          return [key, value] as const;
        }),
    );
    const add = LINES[kind];
    if (add === undefined) throw new SyntaxError(`unknown line: ${line}`);
    add(draft, plain, options);
  }
  const hostPolicy = { openPorts: draft.openPorts, metadataAccess: false };
  const result = parseModel({
    ...draft.model,
    ingress: draft.ingress,
    hostPolicy,
    ...(draft.udpPorts.length === 0 ? {} : { udpPorts: draft.udpPorts }),
  });
  if (!result.ok) throw new SyntaxError(result.reason);
  const [first] = result.dropped;
  if (first !== undefined) throw new SyntaxError(`${first.path}: ${first.reason}`);
  return result.model;
}

const OPTION = /^(internal|draining|remote|dnsrr|[a-z]+6?=[^"{]*)$/;

/** One for all networks, or each network's own after its identifier. */
function addressOn(vip: string | undefined, networkId: string): { virtualAddress?: string } {
  if (vip?.includes(":") !== true) return vip === undefined ? {} : { virtualAddress: vip };
  const own = items(vip).find((item) => item.startsWith(`${networkId}:`));
  return own === undefined ? {} : { virtualAddress: own.slice(networkId.length + 1) };
}

/** `shop`, or `project/environment/stack`. */
function scope(text: string): Omit<ServiceName, "service"> {
  const [stack = "", environment = "main", project = "default"] = text.split("/").reverse();
  return { project, environment, stack };
}

/** `shop/web`, or `project/environment/shop/web`. */
function serviceName(text: string): ServiceName {
  const slash = text.lastIndexOf("/");
  return { ...scope(text.slice(0, slash)), service: text.slice(slash + 1) };
}

function taskId(name: string, slot: string): string {
  return `${name.replaceAll("/", "-")}-${slot}`;
}

function target([name = "", networkId = "", port = ""]: readonly string[]): IngressTarget {
  return { ...serviceName(name), networkId, port: Number(port) };
}

function items(text: string | undefined): string[] {
  return text === undefined || text === "" ? [] : text.split(",");
}
