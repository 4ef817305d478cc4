/** Bridges and containers of the lab: network namespaces whose one process answers on TCP port 8080. */

import assert from "node:assert/strict";
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { insideOf } from "./lab.ts";

/** Runs `ip` in the test's network or in that of the process `host`; the words are split at blanks. */
export function ip(words: string, host?: number): void {
  const [file = "", ...args] = [...insideOf(host), "ip", ...words.split(" ")];
  execFileSync(file, args, { stdio: ["ignore", "ignore", "inherit"] });
}

export function addBridge(name: string, address: string, host?: number): void {
  ip(`link add ${name} type bridge`, host);
  ip(`addr add ${address} dev ${name}`, host);
  ip(`link set ${name} up`, host);
}

export interface Container {
  readonly address: string;
  readonly pid: number;
  /** Ends its process, and with it the namespace. */
  readonly end: () => void;
  /** Runs a program inside; returns what it says. */
  readonly run: (file: string, args: readonly string[]) => Promise<string>;
  /** Whether a TCP connection can be made from inside. */
  readonly reaches: (address: string, port: number) => Promise<boolean>;
}

/** A probe closes at once, which resets the connection: no reason for a server to end. */
const SERVER = `require('net')
  .createServer((socket) => socket.on('error', () => {}).end('hello'))
  .listen(8080, () => console.log('ready'))`;
/**
 * Says who it is and who asked, as a copy of a service: TCP connections stay open and say it again with each
 * line; UDP says it once a datagram.
 */
export const ECHO_SERVER = `
  const said = (from) => process.env.NAME + ' ' + from.replace('::ffff:', '') + '\\n';
  require('net').createServer((socket) => {
    socket.on('error', () => {}).on('data', () => socket.write(said(socket.remoteAddress)));
  }).listen(8080, '::', () => console.log('ready'));
  const udp = require('dgram').createSocket({ type: 'udp6', ipv6Only: false });
  udp.on('message', (_, from) => udp.send(said(from.address), from.port, from.address)).bind(8081)`;
/** Long enough for a connection on one machine, short enough for a matrix of dropped ones. */
const CONNECT_TIMEOUT = "0.8";
let count = 0;

/** What a container runs, and where: on the test's own host unless a process of another one is named. */
export interface ContainerServer {
  readonly script: string;
  readonly name: string;
  readonly host?: number;
  readonly mac?: string;
  /** Of its interface, bytes. */
  readonly mtu?: number;
}

/** Joins a new namespace to `bridge` (or, without one, as a host beyond the host) as `address`/24. */
export async function startContainer(
  address: string,
  gateway: string,
  bridge?: string,
  server: ContainerServer = { script: SERVER, name: "" },
): Promise<Container> {
  const child = spawn("unshare", ["-n", process.execPath, "-e", server.script], {
    stdio: ["ignore", "pipe", "inherit"],
    env: { ...process.env, NAME: server.name },
  });
  // Not `after`: inside a hook it would belong to the hook.
  process.on("exit", () => child.kill("SIGKILL"));
  child.unref();
  assert.ok(child.stdout !== null);
  await once(child.stdout, "data");
  child.stdout.destroy();
  const index = ++count;
  const { host, mac, mtu } = server;
  ip(`link add veth${index} type veth peer name peer${index}`, host);
  ip(`link set peer${index} netns ${child.pid}`, host);
  if (bridge === undefined) ip(`addr add ${gateway}/24 dev veth${index}`, host);
  else ip(`link set veth${index} master ${bridge}`, host);
  ip(`link set veth${index} up`, host);
  const inside = ["-t", String(child.pid), "-n"];
  // Not synchronously: servers of the test itself may have to answer meanwhile.
  const run = (file: string, args: readonly string[]) =>
    new Promise<{ readonly code: number | null; readonly stdout: string }>((resolve) => {
      const program = spawn("nsenter", [...inside, file, ...args]);
      let stdout = "";
      program.stdout.setEncoding("utf8").on("data", (chunk: string) => {
        stdout += chunk;
      });
      program.stdin.end();
      program.on("close", (code) => resolve({ code, stdout }));
    });
  for (const words of [
    "link set lo up",
    `link set peer${index} name eth0`,
    ...(mac === undefined ? [] : [`link set eth0 address ${mac}`]),
    ...(mtu === undefined ? [] : [`link set eth0 mtu ${mtu}`]),
    `addr add ${address}/24 dev eth0`,
    "link set eth0 up",
    `route add default via ${gateway}`,
  ]) {
    assert.equal((await run("ip", words.split(" "))).code, 0, words);
  }
  return {
    address,
    pid: child.pid ?? 0,
    end: () => void child.kill("SIGKILL"),
    run: async (file, args) => (await run(file, args)).stdout,
    reaches: async (to, port) => {
      const script = `</dev/tcp/${to}/${port}`;
      return (await run("timeout", [CONNECT_TIMEOUT, "bash", "-c", script])).code === 0;
    },
  };
}
