/** Several hosts of a lab: namespaces on one cable, each with a `net` of its own and bridges of networks. */

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import type { AttachmentModel, NetworkModel, NodeNetworkModel } from "../src/model.ts";
import { addBridge, type Container, ECHO_SERVER, ip, startContainer } from "./containers.ts";
import { insideOf, loopbackModel, type NetUnderTest, netUnderTest, SERVICE } from "./lab.ts";

export const UNDERLAY_PORT = 4789;
const CABLE = "cable";

/** What of a network is the same on all hosts. */
export interface LabNetwork {
  readonly id: string;
  /** `10.77.0` */
  readonly prefix: string;
  readonly overlayId: number;
  readonly mtu?: number;
  readonly change?: Partial<NetworkModel>;
}

/** A task of the lab: `.11` of its network on a host. */
export interface LabTask {
  readonly host: LabHost;
  readonly networkId: string;
  readonly address: string;
  readonly slot: number;
  readonly ready?: boolean;
}

/** Hosts are made where tests are defined, and started in a hook: what cleans up after them belongs to the file. */
export class LabHost {
  readonly number: number;
  readonly name: string;
  /** Its address on the cable. */
  readonly underlay: string;
  readonly net: NetUnderTest;
  #pid: number | undefined;

  constructor(number: number) {
    this.number = number;
    this.name = `node${number}`;
    this.underlay = `192.0.2.${number}`;
    this.net = netUnderTest({}, () => this.pid);
  }

  /** A process in its network. */
  get pid(): number {
    assert.ok(this.#pid !== undefined, `${this.name} was started`);
    return this.#pid;
  }

  /** Puts it on the cable, with forwarding on and its `net` running. The first one brings the cable. */
  async start(): Promise<void> {
    const child = spawn("unshare", ["-n", "sh", "-c", "echo up; exec sleep infinity"], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    process.on("exit", () => child.kill("SIGKILL"));
    child.unref();
    assert.ok(child.stdout !== null && child.pid !== undefined);
    await once(child.stdout, "data");
    child.stdout.destroy();
    this.#pid = child.pid;
    const { number } = this;
    if (number === 1) addBridge(CABLE, "192.0.2.254/24");
    ip(`link add port${number} type veth peer name up${number}`);
    ip(`link set up${number} netns ${child.pid}`);
    ip(`link set port${number} master ${CABLE}`);
    ip(`link set port${number} up`);
    for (const words of [
      "link set lo up",
      `link set up${number} name eth0`,
      `addr add ${this.underlay}/24 dev eth0`,
      "link set eth0 up",
      "route add default via 192.0.2.254",
    ]) {
      ip(words, child.pid);
    }
    run(child.pid, "sysctl", ["-qw", "net.ipv4.ip_forward=1"]);
    await this.net.start();
  }
}

/** Runs a program on the host; returns what it says. */
export function run(pid: number, file: string, args: readonly string[]): string {
  const [first = "", ...rest] = [...insideOf(pid), file, ...args];
  return execFileSync(first, rest, { encoding: "utf8" });
}

export function bridgeOf(networkId: string): string {
  return `br-${networkId}`;
}

export function macOf(address: string): string {
  const bytes = address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"));
  return `02:42:${bytes.join(":")}`;
}

/** Address of a host in a network: from the top. */
export function nodeAddress({ prefix }: LabNetwork, { number }: LabHost): string {
  return `${prefix}.${255 - number}`;
}

/** The bridge of `network` on `host`, as its engine would make it. */
export function joinNetwork(host: LabHost, network: LabNetwork): void {
  addBridge(bridgeOf(network.id), `${network.prefix}.1/24`, host.pid);
}

export function startTask(task: LabTask, network: LabNetwork, name: string): Promise<Container> {
  const server = {
    ...{ script: ECHO_SERVER, name, host: task.host.pid, mac: macOf(task.address) },
    mtu: network.mtu ?? 1450,
  };
  return startContainer(task.address, `${network.prefix}.1`, bridgeOf(network.id), server);
}

/** What `host` is told when `networks` with `tasks` are there, each network on the hosts that have a task in it. */
export function modelOfHost(
  host: LabHost,
  generation: number,
  { networks, tasks, change = {} }: LabState,
): NodeNetworkModel {
  const carried = networks.filter(({ id }) =>
    tasks.some((task) => task.networkId === id && task.host === host),
  );
  const ids = new Set(carried.map(({ id }) => id));
  const seen = tasks.filter(({ networkId }) => ids.has(networkId));
  return loopbackModel(generation, {
    networks: carried.map((network) => networkModel(host, network, tasks)),
    services: [
      {
        ...SERVICE,
        networks: carried.map(({ id, prefix }) => ({
          networkId: id,
          aliases: [],
          virtualAddress: `10.79.0.${prefix.split(".")[2]}`,
        })),
        endpointMode: "vip",
        ports: [],
      },
    ],
    attachments: seen.map((task) => attachmentOf(host, task)),
    endpoints: seen
      .filter(({ ready }) => ready === true)
      .map(({ networkId, address, slot, host: of }) => ({
        ...SERVICE,
        ...{ networkId, address, slot, taskId: `t${address}`, state: "ready" },
        ...(of === host ? {} : { remote: true }),
      })),
    ingress: { ...loopbackModel(1, {}).ingress, httpRoutes: [], tcpPorts: [] },
    underlay: { address: host.underlay, port: UNDERLAY_PORT },
    ...change,
  });
}

export interface LabState {
  readonly networks: readonly LabNetwork[];
  readonly tasks: readonly LabTask[];
  readonly change?: Partial<NodeNetworkModel>;
}

function networkModel(host: LabHost, network: LabNetwork, tasks: readonly LabTask[]): NetworkModel {
  const { id, prefix, overlayId, mtu = 1450, change } = network;
  const hosts = new Set(tasks.filter((task) => task.networkId === id).map((task) => task.host));
  hosts.delete(host);
  const own = nodeAddress(network, host);
  return {
    ...{ id, project: "default", environment: "main", stack: "shop", name: id },
    ...{ bridge: bridgeOf(id), subnet: `${prefix}.0/24`, gateway: `${prefix}.1` },
    serviceRange: "10.79.0.0/24",
    internal: false,
    ...(hosts.size === 0
      ? {}
      : {
          overlay: {
            ...{ id: overlayId, mtu, nodeAddress: own, mac: macOf(own) },
            peers: [...hosts].map((peer) => {
              const address = nodeAddress(network, peer);
              return {
                ...{ node: peer.name, address: peer.underlay, port: UNDERLAY_PORT },
                ...{ nodeAddress: address, mac: macOf(address) },
              };
            }),
          },
        }),
    ...change,
  };
}

function attachmentOf(host: LabHost, task: LabTask): AttachmentModel {
  const { networkId, address, slot } = task;
  return {
    ...SERVICE,
    ...{ networkId, address, slot, mac: macOf(address), taskId: `t${address}` },
    ...(task.host === host ? {} : { remote: true, node: task.host.name }),
  };
}
