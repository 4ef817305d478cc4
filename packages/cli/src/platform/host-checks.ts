/** Checks of the host itself: kernel, limits, disks, programs, ports, address ranges. */

import { existsSync, readFileSync, statfsSync } from "node:fs";
import { createServer } from "node:net";
import { networkInterfaces, totalmem } from "node:os";
import { dirname } from "node:path";
import { bridgeName } from "@berth/agent/net/node-network-model";
import { formatBytes, GIB } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import { runProgram } from "../image/run-program.ts";
import { isInRange } from "./address-ranges.ts";
import { type Check, type Finding, failure, ok, warning } from "./finding.ts";
import { clusterOf } from "./leftovers.ts";

const NODE_MAJOR = 24;
const HAPROXY_MIN = [2, 6] as const;
/** Below this share of free space the agent collects garbage, below the second it refuses builds. */
const DISK_FREE_WARNING = 0.15;
const DISK_FREE_ERROR = 0.1;
const MEMORY_BYTES_MIN = GIB;
const FILES_MIN = 8_192;

export const nodeVersion: Check = async () => {
  const major = Number(process.versions.node.split(".")[0]);
  return [
    major >= NODE_MAJOR
      ? ok("node", `Node ${process.versions.node}`)
      : failure(
          "node",
          `Node ${process.versions.node} is too old`,
          "run script/up: it gets Node 24",
        ),
  ];
};

export const userIsRoot: Check = async () => [
  process.getuid?.() === 0
    ? ok("user", "root")
    : warning(
        "user",
        "not root: isolation between stacks and ports below 1024 need root",
        "run the platform as root, or accept containers without isolation",
      ),
];

export const haproxy: Check = async () => {
  const text = await outputOf(["haproxy", "-v"]);
  if (text === undefined) {
    return [
      failure("haproxy", "not installed: no port and no route works", "apt-get install haproxy"),
    ];
  }
  const version = /version (\d+)\.(\d+)(\.\d+)?/.exec(text);
  const [major, minor] = [Number(version?.[1] ?? 0), Number(version?.[2] ?? 0)];
  const words = version?.[0] ?? "unknown version";
  const enough = major > HAPROXY_MIN[0] || (major === HAPROXY_MIN[0] && minor >= HAPROXY_MIN[1]);
  return [
    enough
      ? ok("haproxy", words)
      : failure(
          "haproxy",
          `${words} is too old`,
          `install HAProxy ${HAPROXY_MIN.join(".")} or newer`,
        ),
  ];
};

export const nftables: Check = async () => {
  const text = await outputOf(["nft", "list", "tables"]);
  return [
    text === undefined
      ? failure(
          "nftables",
          "nft is missing or may not be used: containers are not isolated",
          "apt-get install nftables, and run as root",
        )
      : ok("nftables", "usable"),
  ];
};

export const forwarding: Check = async () => {
  const value = readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8").trim();
  return [
    value === "1"
      ? ok("forwarding", "net.ipv4.ip_forward is on")
      : warning(
          "forwarding",
          "net.ipv4.ip_forward is off: containers have no way out",
          "sysctl -w net.ipv4.ip_forward=1 (the engine does this when it starts)",
        ),
  ];
};

export const cgroups: Check = async () => {
  const unified = existsSync("/sys/fs/cgroup/cgroup.controllers");
  const controllers = unified
    ? readFileSync("/sys/fs/cgroup/cgroup.controllers", "utf8").trim().split(" ")
    : ["cpu", "memory", "pids"].filter((name) => existsSync(`/sys/fs/cgroup/${name}`));
  const missing = ["cpu", "memory", "pids"].filter((name) => !controllers.includes(name));
  const version = unified ? "v2" : "v1";
  return [
    missing.length === 0
      ? ok("cgroups", `${version} with cpu, memory, pids`)
      : warning(
          "cgroups",
          `${version} lacks ${missing.join(", ")}: these limits have no effect`,
          "enable them on the kernel's command line (cgroup_enable=memory swapaccount=1)",
        ),
  ];
};

export const fileLimit: Check = async () => {
  const line = /^Max open files\s+(\d+|unlimited)\s+(\d+|unlimited)/m.exec(
    readFileSync("/proc/self/limits", "utf8"),
  );
  const hard = line?.[2] === "unlimited" ? Number.POSITIVE_INFINITY : Number(line?.[2] ?? 0);
  return [
    hard >= FILES_MIN
      ? ok("open files", `at most ${hard}`)
      : warning(
          "open files",
          `at most ${hard}: HAProxy will take fewer than ${Math.floor(hard / 2)} connections`,
          "raise the hard limit of open files (ulimit -Hn) to 65536",
        ),
  ];
};

export const memory: Check = async () => [
  totalmem() >= MEMORY_BYTES_MIN
    ? ok("memory", formatBytes(totalmem()))
    : warning("memory", `only ${formatBytes(totalmem())}`, "give the machine 1 GiB or more"),
];

export const disks: Check = async ({ paths }) => {
  const folders = [existing(paths.dataDir), existing("/var/lib/docker")];
  return [...new Set(folders)].map((folder): Finding => {
    const { bavail, blocks, bsize } = statfsSync(folder);
    const free = blocks === 0 ? 1 : bavail / blocks;
    const words = `${formatBytes(bavail * bsize)} free (${Math.round(free * 100)} %) at ${folder}`;
    if (free < DISK_FREE_ERROR) {
      return failure(
        "disk",
        `${words}: builds are refused`,
        "free space; berth removes unused images itself",
      );
    }
    return free < DISK_FREE_WARNING
      ? warning("disk", words, "free space soon: unused images are being removed")
      : ok("disk", words);
  });
};

function existing(folder: string): string {
  return existsSync(folder) || folder === "/" ? folder : existing(dirname(folder));
}

export const resolvers: Check = async () => {
  const text = existsSync("/etc/resolv.conf") ? readFileSync("/etc/resolv.conf", "utf8") : "";
  const servers = [...text.matchAll(/^nameserver\s+(\S+)/gm)].map((match) => match[1] ?? "");
  return [
    servers.length > 0
      ? ok("resolvers", servers.join(", "))
      : warning(
          "resolvers",
          "the host has no DNS server: containers resolve nothing but names of the cluster",
          "fine in a closed network; otherwise add a nameserver to /etc/resolv.conf",
        ),
  ];
};

/** The cluster's ranges must not be ones that the host has an address in. */
export const addressRange: Check = async ({ paths, settings }) => {
  const cluster = clusterOf(paths);
  const ownPrefix = cluster === undefined ? undefined : bridgeName(cluster, "");
  const addresses = Object.entries(networkInterfaces())
    .filter(([name]) => ownPrefix === undefined || !name.startsWith(ownPrefix))
    .flatMap(([name, list]) => (list ?? []).map((each) => ({ ...each, name })))
    .filter(({ family }) => family === "IPv4");
  const { clusterRange, serviceRange } = settings;
  const ranges = [
    { option: "--cluster-range 10.128.0.0/12", purpose: "networks", range: clusterRange },
    ...(serviceRange === undefined
      ? []
      : [{ option: "--service-range 10.144.0.0/16", purpose: "services", range: serviceRange }]),
  ];
  return ranges.map(({ option, purpose, range }) => {
    const clash = addresses.find(({ address }) => isInRange(address, range));
    if (clash === undefined) return ok("range", `${range} for ${purpose}`);
    return failure(
      "range",
      `${clash.name} has ${clash.address}, inside the cluster's range ${range} for ${purpose}`,
      `choose another with berth platform start ${option}`,
    );
  });
};

/** The ingress port, unless our own HAProxy has it. */
export const httpPort: Check = async ({ settings }) => {
  const free = await canListen(settings.httpPort, settings.httpAddress);
  if (free) return [ok("http port", `${settings.httpPort} is free (bound while there are routes)`)];
  const holder = await outputOf(["ss", "-Hltnp", `sport = :${settings.httpPort}`]);
  const program = /users:\(\("([^"]+)"/.exec(holder ?? "")?.[1];
  if (program === "haproxy")
    return [ok("http port", `${settings.httpPort} is answered by HAProxy`)];
  return [
    failure(
      "http port",
      `${settings.httpPort} is taken by ${program ?? "another program"}: routes are not reachable`,
      "free it, or choose another: berth platform start --http-port 8081",
    ),
  ];
};

function canListen(port: number, host: string): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", () => resolve(false));
    server.listen(port, host, () => server.close(() => resolve(true)));
  });
}

/** What a program says; `undefined` when it is missing or fails. */
export async function outputOf(argv: readonly [string, ...string[]]): Promise<string | undefined> {
  try {
    return await runProgram(argv);
  } catch (error) {
    if (error instanceof ProtocolError) return undefined;
    throw error;
  }
}
