/** Networks, names, addresses, published ports and what services share. */

import assert from "node:assert/strict";
import { readlinkSync } from "node:fs";
import { docker } from "../engine.ts";
import { eventually } from "../test-platform.ts";
import { QUICK } from "./process-stack.ts";
import { host, type KeyStack, type Scene } from "./scene.ts";

/** Addresses that a name has for a process of `service`, in order. */
function lookUp(at: Scene, service: string, name: string): string[] {
  const answer = at.try(service, `nslookup ${name}. | sed '1,/^Name/d'`);
  return [...answer.matchAll(/\b\d+\.\d+\.\d+\.\d+\b/g)].map(([address]) => address).sort();
}

/** Interfaces of a service as its kernel has them: MAC and address, without the loop. */
function interfaces(at: Scene, service: string): { readonly mac: string; readonly ip: string }[] {
  return addressesIn(at.inside(service, "ip", "addr"));
}

function addressesIn(text: string): { readonly mac: string; readonly ip: string }[] {
  const blocks = text.split(/^\d+: /m).filter((block) => block.includes("link/ether"));
  return blocks.flatMap((block) => {
    const mac = /link\/ether (\S+)/.exec(block)?.[1];
    const ip = /inet (\d+\.\d+\.\d+\.\d+)/.exec(block)?.[1];
    return mac === undefined || ip === undefined ? [] : [{ mac, ip }];
  });
}

/** The stack whose network the next one joins. */
export const NETWORK_OWNER: KeyStack = {
  name: "owner",
  compose: `
services:
  shared:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    networks: [meeting]
networks: {meeting: }
`,
  checks: [],
};

export const NETWORK: KeyStack = {
  name: "network",
  compose: `
services:
  web:
    ${QUICK}
    image: berth/busybox
    command: sh -c 'mkdir /w; echo served > /w/index.html; exec httpd -f -p 8000 -h /w'
    container_name: the-web
    expose: ["8000"]
    ports:
      - "28080:8000"
      - {target: 8000, published: 28081, host_ip: 127.0.0.1, protocol: tcp, mode: host}
    networks:
      front:
        aliases: [www, shop.example]
        priority: 10
      fixed: {ipv4_address: 10.77.5.9, mac_address: "02:42:0a:4d:05:09"}
  client:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    links: ["web:linked"]
    networks: {front: {priority: 1}, meeting: {priority: 2}, fixed: {gw_priority: 5}}
  alone:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    network_mode: none
  plain:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    network_mode: bridge
    mac_address: 02:42:0a:00:77:01
  inner:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    networks: [closed]
  holder:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    ipc: shareable
    volumes: ["lent:/lent"]
  guest:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    network_mode: service:holder
    pid: service:holder
    ipc: service:holder
    volumes_from: [holder]
  visitor:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    networks: [again]
  middle:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    networks: {front: {priority: 1}, closed: , fixed: {priority: 7}}
  ranged:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    networks: {ranged: {ipv6_address: "fd00:77::9"}}
  many:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    networks: [front]
    deploy: {endpoint_mode: dnsrr, replicas: 2}
networks:
  front: {labels: {of: network}, driver: bridge}
  fixed: {ipam: {config: [{subnet: 10.77.5.0/24}]}}
  closed: {internal: true, driver_opts: {com.docker.network.driver.mtu: 1342}}
  ranged:
    enable_ipv6: true
    ipam:
      config:
        - {subnet: 10.77.6.0/24, gateway: 10.77.6.7, ip_range: 10.77.6.128/25, aux_addresses: {printer: 10.77.6.128}}
        - {subnet: "fd00:77::/64"}
  meeting: {external: true, name: owner/meeting}
  again: {external: {name: owner_meeting}}
volumes: {lent: }
`,
  checks: [
    {
      keys: ["services.*.networks", "services.*.networks.*.aliases"],
      says: "a service has an address on each of its networks, and its names lead there",
      look: (at) => {
        assert.equal(interfaces(at, "web").length, 2);
        for (const name of ["web", "www", "shop.example"]) {
          assert.ok(lookUp(at, "many", name).length > 0, name);
        }
        assert.deepEqual(lookUp(at, "inner", "www"), []);
      },
    },
    {
      keys: ["services.*.container_name", "services.*.links"],
      says: "the container's name and the alias of a link lead to the service",
      look: (at) => {
        const web = lookUp(at, "client", "web");
        assert.ok(web.length > 0);
        assert.deepEqual(lookUp(at, "client", "the-web"), web);
        assert.deepEqual(lookUp(at, "client", "linked"), web);
      },
    },
    {
      keys: [
        "services.*.networks.*.ipv4_address",
        "services.*.networks.*.mac_address",
        "services.*.mac_address",
        "networks.*.ipam.config.subnet",
      ],
      says: "addresses and MACs are those of the file",
      look: (at) => {
        const [fixed] = interfaces(at, "web").filter(({ ip }) => ip === "10.77.5.9");
        assert.equal(fixed?.mac, "02:42:0a:4d:05:09");
        assert.match(at.inside("web", "ip", "addr"), /inet 10\.77\.5\.9\/24/);
        assert.equal(interfaces(at, "plain")[0]?.mac, "02:42:0a:00:77:01");
      },
    },
    {
      keys: ["services.*.networks.*.priority", "services.*.networks.*.gw_priority"],
      says: "the default route is that of the network with the highest priority",
      look: (at) => {
        // By gw_priority in the one, by priority in the other.
        for (const service of ["client", "middle"]) {
          assert.match(at.inside(service, "ip", "route"), /^default via 10\.77\.5\./m, service);
        }
      },
    },
    {
      keys: [
        "networks.*.ipam.config.gateway",
        "networks.*.ipam.config.ip_range",
        "networks.*.ipam.config.aux_addresses",
        "networks.*.enable_ipv6",
        "services.*.networks.*.ipv6_address",
      ],
      says: "gateway, range, reserved addresses and IPv6 are those of the file",
      look: (at) => {
        const last = Number(interfaces(at, "ranged")[0]?.ip.split(".")[3]);
        assert.ok(last > 128, `10.77.6.${last}`);
        assert.match(at.inside("ranged", "ip", "route"), /^default via 10\.77\.6\.7 /m);
        assert.match(at.inside("ranged", "ip", "addr"), /inet6 fd00:77::9\/64/);
      },
    },
    {
      keys: ["services.*.network_mode"],
      says: "none has no network, bridge is the stack's default one",
      look: (at) => {
        assert.deepEqual(at.inside("alone", "ls", "/sys/class/net"), "lo");
        assert.ok(lookUp(at, "plain", "holder").length > 0);
      },
    },
    {
      keys: [
        "services.*.network_mode",
        "services.*.pid",
        "services.*.ipc",
        "services.*.volumes_from",
      ],
      says: "a guest has the namespaces and the volumes of its holder",
      look: (at) => {
        for (const kind of ["net", "pid", "ipc"]) {
          const ofService = (service: string) =>
            readlinkSync(`/proc/${at.container(service).State.Pid}/ns/${kind}`);
          assert.equal(ofService("guest"), ofService("holder"), kind);
        }
        at.inside("holder", "touch", "/lent/by-holder");
        assert.equal(at.inside("guest", "ls", "/lent"), "by-holder");
      },
    },
    {
      keys: [
        "services.*.ports.target",
        "services.*.ports.published",
        "services.*.ports.protocol",
        "services.*.ports.host_ip",
        "services.*.ports.mode",
        "services.*.expose",
      ],
      says: "published ports answer on their addresses, and on no others",
      look: async () => {
        const get = (url: string) => host("curl", "-s", "-m", "5", url).trim();
        await eventually("the port answers", () => get("http://127.0.0.1:28080/") === "served");
        await eventually("so does the other", () => get("http://127.0.0.1:28081/") === "served");
        const listening = host("ss", "-ltnH", "sport = :28081");
        assert.match(listening, /127\.0\.0\.1:28081/);
        assert.doesNotMatch(listening, /(0\.0\.0\.0|\*):28081/);
      },
    },
    {
      keys: ["services.*.deploy.endpoint_mode"],
      says: "vip answers one address, which is none of the copies' own",
      look: (at) => {
        const [address = "", ...others] = lookUp(at, "client", "web");
        assert.deepEqual(others, []);
        assert.equal(
          interfaces(at, "web").some(({ ip }) => ip === address),
          false,
        );
      },
    },
    {
      keys: ["networks.*.internal"],
      says: "an internal network has no way out",
      look: (at) => {
        const cannot = at.try("inner", "ping -c 1 -W 1 10.0.2.2 | tail -2");
        assert.match(cannot, /100% packet loss|unreachable|bad address/);
        const can = at.try("plain", "ip route get 10.0.2.2");
        assert.match(can, /via/);
      },
    },
    {
      keys: ["networks.*.driver_opts"],
      says: "packets of a network are as large as the file says, on the bridge and in each container",
      look: (at) => {
        assert.match(at.inside("inner", "ip", "link"), /eth0.* mtu 1342 /);
        assert.match(
          at.inside("middle", "ip", "link"),
          / mtu 1342 [\s\S]* mtu 1500 | mtu 1500 [\s\S]* mtu 1342 /,
        );
        assert.match(host("ip", "link", "show", "type", "bridge"), / mtu 1342 /);
      },
    },
    {
      keys: ["networks.*.external", "networks.*.external.name", "networks.*.name"],
      says: "an external network is the one that another stack declared",
      look: (at) => {
        const [shared] = lookUp(at, "client", "tasks.shared");
        const start = shared?.split(".").slice(0, 3).join(".");
        for (const service of ["client", "visitor"]) {
          const own = interfaces(at, service).map(({ ip }) => ip.split(".").slice(0, 3).join("."));
          assert.ok(start !== undefined && own.includes(start), `${start} of ${own.join(" ")}`);
        }
      },
    },
    {
      keys: ["networks.*.labels", "networks.*.driver"],
      says: "the network at the engine has the labels",
      look: (at) => {
        const words = [`label=berth.cluster=${at.platform.cluster}`, "label=of=network"];
        const found = docker("network", "ls", "-q", ...words.flatMap((one) => ["--filter", one]));
        assert.equal(found.trim().split("\n").length, 1);
        assert.notEqual(found.trim(), "");
      },
    },
    {
      keys: [
        "services.*.deploy.endpoint_mode",
        "services.*.deploy.replicas",
        "services.*.deploy.mode",
      ],
      says: "dnsrr answers the addresses of all copies",
      look: async (at) => {
        const all = at
          .containers("many")
          .flatMap(({ Id }) => addressesIn(docker("exec", Id, "ip", "addr")))
          .map(({ ip }) => ip)
          .sort();
        assert.equal(all.length, 2);
        await eventually("both are answered", () => {
          assert.deepEqual(lookUp(at, "client", "many"), all);
          return true;
        });
      },
    },
  ],
};
