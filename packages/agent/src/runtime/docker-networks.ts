/** Bridges at a Docker engine: one for each network of the cluster that this node takes part in. */

import type { Bridge } from "./direct-plan.ts";
import { type EngineClient, segment, wordsOf } from "./docker-client.ts";
import { networkName } from "./docker-create.ts";
import { flagAt, listAt, textAt } from "./docker-json.ts";
import { refusal } from "./docker-refusal.ts";
import { LABEL_CLUSTER, type NetworkRequest } from "./port.ts";

const LABEL_NETWORK = "berth.network";
const OPTION_BRIDGE = "com.docker.network.bridge.name";
const OPTION_MTU = "com.docker.network.driver.mtu";

export async function ensureNetwork(
  client: EngineClient,
  request: NetworkRequest,
  signal?: AbortSignal,
): Promise<void> {
  const name = networkName(request.cluster, request.id);
  const context = `make network ${name}`;
  const path = `/networks/${segment(name)}`;
  const create = {
    method: "POST",
    path: "/networks/create",
    json: bodyOf(name, request),
    context,
    signal,
  } as const;
  // Most are new, and somebody waits for them: made first, looked at where that fails.
  const made = await client.answer(create);
  if (made.status === 201) return;
  const found = await client.answer({ method: "GET", path, context, signal });
  if (found.status !== 200) throw refusal(context, made.status, wordsOf(made.body));
  if (isAsWanted(found.body, request)) return;
  // Made with another range: nothing can be attached as planned. In use, the removal says so.
  await removeNetwork(client, request.id, request.cluster, signal);
  await client.call(create, [409]);
}

/** Bridge of a network that the engine has. @throws ProtocolError `not_found` */
export async function bridgeOf(
  client: EngineClient,
  { cluster, id }: { readonly cluster: string; readonly id: string },
  signal?: AbortSignal,
): Promise<Bridge> {
  const name = networkName(cluster, id);
  const context = `look at network ${name}`;
  const path = `/networks/${segment(name)}`;
  const network = await client.call({ method: "GET", path, context, signal });
  const [range] = listAt(network, "IPAM", "Config");
  const mtu = Number(textAt(network, "Options", OPTION_MTU));
  return {
    name: textAt(network, "Options", OPTION_BRIDGE) ?? "",
    subnet: textAt(range, "Subnet") ?? "",
    gateway: textAt(range, "Gateway") ?? "",
    internal: flagAt(network, "Internal"),
    ...(mtu > 0 ? { mtu } : {}),
  };
}

export async function listNetworks(
  client: EngineClient,
  cluster: string,
  signal?: AbortSignal,
): Promise<readonly { id: string; bridge: string }[]> {
  const filters = JSON.stringify({ label: [`${LABEL_CLUSTER}=${cluster}`] });
  const context = "list networks";
  const body = await client.call({
    method: "GET",
    path: "/networks",
    query: { filters },
    context,
    signal,
  });
  return (Array.isArray(body) ? body : []).flatMap((network: unknown) => {
    const id = textAt(network, "Labels", LABEL_NETWORK);
    const bridge = textAt(network, "Options", OPTION_BRIDGE) ?? "";
    return id === undefined ? [] : [{ id, bridge }];
  });
}

export async function removeNetwork(
  client: EngineClient,
  id: string,
  cluster: string,
  signal?: AbortSignal,
): Promise<void> {
  const name = networkName(cluster, id);
  const path = `/networks/${segment(name)}`;
  await client.call({ method: "DELETE", path, context: `remove network ${name}`, signal }, [404]);
}

function isAsWanted(network: unknown, request: NetworkRequest): boolean {
  const ranges = listAt(network, "IPAM", "Config");
  const wanted = ipamOf(request);
  return (
    ranges.length === wanted.length &&
    wanted.every(({ Subnet, Gateway }) =>
      ranges.some(
        (range) => textAt(range, "Subnet") === Subnet && textAt(range, "Gateway") === Gateway,
      ),
    ) &&
    textAt(network, "Options", OPTION_BRIDGE) === request.bridge
  );
}

function ipamOf({ subnet, gateway, subnet6, gateway6 }: NetworkRequest) {
  const own = [{ Subnet: subnet, Gateway: gateway }];
  if (subnet6 === undefined || gateway6 === undefined) return own;
  return [...own, { Subnet: subnet6, Gateway: gateway6 }];
}

function bodyOf(name: string, request: NetworkRequest) {
  const { id, cluster, bridge, subnet6, internal, mtu, labels } = request;
  return {
    Name: name,
    CheckDuplicate: true,
    Driver: "bridge",
    Internal: internal,
    ...(subnet6 === undefined ? {} : { EnableIPv6: true }),
    IPAM: { Driver: "default", Config: ipamOf(request) },
    Options: {
      [OPTION_BRIDGE]: bridge,
      "com.docker.network.bridge.enable_ip_masquerade": String(!internal),
      ...(mtu === undefined ? {} : { [OPTION_MTU]: String(mtu) }),
    },
    Labels: { ...labels, [LABEL_CLUSTER]: cluster, [LABEL_NETWORK]: id },
  };
}
