/**
 * Real etcd for tests and benchmarks: Debian's `etcd-server`, one member or several, on free ports of this
 * machine, with or without TLS, in a directory of their own.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assert, silentLogger, systemClock } from "@berth/base";
import type { TlsFiles } from "../src/store/etcd-channel.ts";
import { EtcdClient } from "../src/store/etcd-client.ts";
import { encodeRange, METHODS } from "../src/store/etcd-messages.ts";

export interface EtcdMember {
  readonly name: string;
  readonly url: string;
  /** Starts it, again after `kill`; resolves when its process runs. */
  start(): void;
  /** As a loss of power does. */
  kill(): Promise<void>;
  /** Stands still, with its connections open, until `resume`. */
  pause(): void;
  resume(): void;
}

export interface EtcdLab {
  readonly members: readonly EtcdMember[];
  readonly endpoints: readonly string[];
  readonly folder: string;
  stop(): Promise<void>;
}

export interface EtcdLabOptions {
  /** 1 by default. */
  readonly members?: number;
  /** Files of TLS for clients' connections, as paths. */
  readonly tls?: { readonly ca: string; readonly cert: string; readonly key: string };
  /** What a client must bring along to be answered. */
  readonly clientTls?: TlsFiles;
  /** Further words for each member's command line. */
  readonly words?: readonly string[];
}

/** Starts members and resolves when the cluster answers. */
export async function startEtcd(options: EtcdLabOptions = {}): Promise<EtcdLab> {
  const count = options.members ?? 1;
  const folder = await mkdtemp(join(tmpdir(), "berth-etcd-"));
  const ports = await freePorts(count * 2);
  const scheme = options.tls === undefined ? "http" : "https";
  const peers = Array.from({ length: count }, (_, index) => {
    return `m${index}=http://127.0.0.1:${ports[count + index]}`;
  });
  const members = Array.from({ length: count }, (_, index) =>
    makeMember({
      name: `m${index}`,
      folder,
      url: `${scheme}://127.0.0.1:${ports[index]}`,
      peerUrl: `http://127.0.0.1:${ports[count + index]}`,
      cluster: peers.join(","),
      options,
    }),
  );
  for (const member of members) member.start();
  const endpoints = members.map((member) => member.url);
  const stop = async () => {
    await Promise.all(members.map((member) => member.kill()));
    await rm(folder, { recursive: true, force: true });
  };
  try {
    await answers(endpoints, options.clientTls);
  } catch (error) {
    await stop();
    throw error;
  }
  return { members, endpoints, folder, stop };
}

function makeMember(settings: {
  readonly name: string;
  readonly folder: string;
  readonly url: string;
  readonly peerUrl: string;
  readonly cluster: string;
  readonly options: EtcdLabOptions;
}): EtcdMember {
  const { name, folder, url, peerUrl, cluster, options } = settings;
  const { tls } = options;
  const words = [
    ["--name", name],
    ["--data-dir", join(folder, name)],
    ["--listen-client-urls", url, "--advertise-client-urls", url],
    ["--listen-peer-urls", peerUrl, "--initial-advertise-peer-urls", peerUrl],
    ["--initial-cluster", cluster, "--initial-cluster-state", "new"],
    ["--log-level", "error", "--logger", "zap"],
    tls === undefined
      ? []
      : ["--cert-file", tls.cert, "--key-file", tls.key, "--trusted-ca-file", tls.ca],
    tls === undefined ? [] : ["--client-cert-auth"],
    options.words ?? [],
  ].flat();
  let running: ChildProcess | undefined;
  return {
    name,
    url,
    start: () => {
      running = spawn("etcd", words, { stdio: "ignore", env: { PATH: process.env["PATH"] } });
    },
    kill: async () => {
      const process = running;
      running = undefined;
      if (process === undefined || process.exitCode !== null) return;
      const exited = once(process, "exit");
      process.kill("SIGKILL");
      await exited;
    },
    pause: () => running?.kill("SIGSTOP"),
    resume: () => running?.kill("SIGCONT"),
  };
}

/** Resolves when a read that needs a majority is answered. */
async function answers(endpoints: readonly string[], tls: TlsFiles | undefined): Promise<void> {
  const client = new EtcdClient({
    endpoints,
    clock: systemClock,
    log: silentLogger,
    ...(tls === undefined ? {} : { tls }),
  });
  try {
    const reply = await client.call(METHODS.range, encodeRange({ key: "a" }), { isWrite: false });
    if (!reply.ok) throw reply.error;
  } finally {
    client.close();
  }
}

/** Ports of this machine that nobody listens on. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer().listen(0, "127.0.0.1"));
  const ports = await Promise.all(
    servers.map(async (server) => {
      await once(server, "listening");
      const address = server.address();
      assert(address !== null && typeof address === "object", "a port was given");
      return address.port;
    }),
  );
  for (const server of servers) {
    server.close();
    await once(server, "close");
  }
  return ports;
}
