/**
 * What a host needs to become a node, checked before anything is changed: of the host itself, and of what lies
 * between it and the server. Each finding says what to do.
 */

import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import { formatDuration } from "@berth/base";
import { CLOCK_SKEW_MS_MAX } from "@berth/control-plane/joining/join-decision";
import { type JoinCheckAnswer, ProtocolError } from "@berth/protocol";
import { HttpClient } from "@berth/protocol/client/http-client";
import { firstLineOf, runProgram } from "../image/run-program.ts";
import { type Check, type Finding, failure, ok, warning } from "../platform/finding.ts";
import * as host from "../platform/host-checks.ts";
import { authorityAt } from "./first-contact.ts";

/** How the cluster is reached, by the words of the command. */
export interface JoinWords {
  readonly url: string;
  readonly token: string;
  readonly fingerprint: string;
  readonly node: string;
}

/** What was learnt on the way, for the join itself. */
export interface Met {
  readonly authority: string;
  readonly answer: JoinCheckAnswer;
}

/** Of the host alone. The engine is started later where it does not run. */
export const HOST_CHECKS: readonly Check[] = [
  host.nodeVersion,
  host.userIsRoot,
  kernel,
  host.haproxy,
  host.nftables,
  host.forwarding,
  host.cgroups,
  host.fileLimit,
  host.memory,
  host.disks,
  host.resolvers,
  host.httpPort,
];

/** VXLAN with entries set by hand, and nftables with maps, as this release uses them. */
const KERNEL_MIN = [5, 4] as const;

async function kernel(): Promise<readonly Finding[]> {
  const release = readFileSync("/proc/sys/kernel/osrelease", "utf8").trim();
  const [major = 0, minor = 0] = release.split(".").map(Number);
  const isEnough = major > KERNEL_MIN[0] || (major === KERNEL_MIN[0] && minor >= KERNEL_MIN[1]);
  return [
    isEnough
      ? ok("kernel", release)
      : failure("kernel", `${release} is too old`, `boot Linux ${KERNEL_MIN.join(".")} or newer`),
  ];
}

/** Asks the server. `met` is absent when the host cannot join for what the findings say. */
export async function meetCluster(
  words: JoinWords,
  now: () => number,
): Promise<{ readonly findings: readonly Finding[]; readonly met?: Met }> {
  let authority: string;
  try {
    authority = await authorityAt(words.url, words.fingerprint);
  } catch (error) {
    return { findings: [refusal("server", error)] };
  }
  const findings = [ok("server", `${words.url} shows the right authority`)];
  const callback = await openCallback();
  const client = joinClient(words, authority);
  try {
    const { node } = words;
    const body = { node, now: now(), architecture: process.arch, callbackPort: callback.port };
    const answer = await client.call("checkJoin", { params: {}, body });
    return {
      findings: [...findings, clockFinding(answer, now()), wayBack(answer, callback.port)],
      met: { authority, answer },
    };
  } catch (error) {
    return { findings: [...findings, refusal("token", error)] };
  } finally {
    client.close();
    callback.close();
  }
}

export function joinClient(
  { url, token }: Pick<JoinWords, "url" | "token">,
  authority: string,
): HttpClient {
  return new HttpClient({ url, token, secure: () => ({ authority }) });
}

function refusal(check: string, error: unknown): Finding {
  if (!(error instanceof ProtocolError)) throw error;
  const names: Readonly<Record<string, string>> = { clock_skew: "clock", already_exists: "name" };
  const advice = error.details["advice"];
  const name = names[error.code] ?? check;
  return failure(name, error.message, typeof advice === "string" ? advice : (ADVICE[name] ?? ""));
}

const ADVICE: Readonly<Record<string, string>> = {
  server: "have the command printed anew on the server: berth node join",
  token: "have a new command printed on the server: berth node join",
  clock: "set this host's clock (timedatectl set-ntp true, or the NTP service of your network)",
  name: "give another name with --node, or remove the old node on the server: berth node rm",
};

function clockFinding(answer: JoinCheckAnswer, now: number): Finding {
  const skew = formatDuration(Math.abs(now - answer.now));
  return ok("clock", `${skew} off the server's, at most ${formatDuration(CLOCK_SKEW_MS_MAX)}`);
}

function wayBack({ reached, address }: JoinCheckAnswer, port: number): Finding {
  if (reached?.ok === true) return ok("way back", `the server reaches this host at ${address}`);
  return warning(
    "way back",
    `the server cannot reach this host at ${address}:${port}: ${reached?.message ?? "not tried"}`,
    "open the ports of Berth between all hosts: docs/operating/nodes.md has the list",
  );
}

/** Somewhere for the server to connect to, for the time of the check. */
function openCallback(): Promise<{ readonly port: number; readonly close: () => void }> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once("error", reject);
    server.listen(0, "0.0.0.0", () => {
      const address = server.address();
      const port = typeof address === "object" && address !== null ? address.port : 0;
      resolve({ port, close: () => server.close() });
    });
  });
}

/** Bytes of IPv4 and ICMP around the data of a ping. */
const PING_HEADER_BYTES = 28;

/** Whether packets of the interface's full size pass on the way to the server. */
export async function pathMtu(url: string): Promise<readonly Finding[]> {
  const { hostname } = new URL(url);
  const route = (await firstLineOf("ip", ["-o", "route", "get", hostname])) ?? "";
  const device = /\bdev (\S+)/.exec(route)?.[1];
  if (device === undefined || device === "lo") return [];
  // Not from /sys, which may show another network than this process's.
  const link = (await firstLineOf("ip", ["-o", "link", "show", "dev", device])) ?? "";
  const mtu = Number(/\bmtu (\d+)/.exec(link)?.[1]);
  if (Number.isNaN(mtu)) return [];
  const size = String(mtu - PING_HEADER_BYTES);
  try {
    await runProgram(["ping", "-n", "-q", "-c", "1", "-W", "2", "-M", "do", "-s", size, hostname]);
    return [ok("path mtu", `${mtu} bytes on ${device} pass`)];
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    const message = `packets of ${mtu} bytes were not seen to pass from ${device} to the server`;
    const advice =
      "without ping this cannot be told; else lower the interface's MTU, or let ICMP pass";
    return [warning("path mtu", message, advice)];
  }
}
