/** `berth platform start` */

import { existsSync } from "node:fs";
import { isIPv4 } from "node:net";
import { isAbsolute } from "node:path";
import { parseDuration } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import { isRange } from "@berth/protocol/route-rules";
import { type CommandDescription, type CommandInput, flagOption, textOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { showFinding } from "../output/finding-line.ts";
import { checkClusterRange, checkServiceRange } from "../platform/address-ranges.ts";
import type { Finding } from "../platform/finding.ts";
import { checkHostDns } from "../platform/host-dns.ts";
import { startPlatform } from "../platform/lifecycle.ts";
import { hasSystemd } from "../platform/local-engine.ts";
import { lifecycleOf } from "../platform/platform-life.ts";
import {
  LEASE_MS_MAX,
  LEASE_MS_MIN,
  type PlatformSettings,
  readSettings,
  UNDERLAY_AUTO,
} from "../platform/settings.ts";
import { STORE_FILE_OPTIONS, storeOption } from "../platform/store-option.ts";

export const command: CommandDescription = {
  summary: "start Berth on this machine, in the background",
  details:
    "Starts server, agent and net; adopts a container engine that runs, starts one otherwise. What runs in this version stays as it is, so running it again restarts nothing.",
  options: [
    { flags: "--port <number>", summary: "port of the API on 127.0.0.1", fallback: "7710" },
    {
      flags: "--http-port <number>",
      summary: "port where HTTP routes are answered",
      fallback: "8080",
    },
    {
      flags: "--https-port <number>",
      summary: "port where routes with TLS are answered",
      fallback: "8443",
    },
    {
      flags: "--host-dns <address:port>",
      summary: "where names of services are answered for this machine, or off",
      fallback: "127.0.0.1:7753",
    },
    {
      flags: "--trusted-proxies <ranges>",
      summary: "proxies before the routes whose X-Forwarded-For is believed; none to forget them",
    },
    {
      flags: "--proxy-protocol-from <ranges>",
      summary: "whose connections begin with the PROXY protocol; none to forget them",
    },
    {
      flags: "--node <name>",
      summary: "name of this machine as a node",
      fallback: "its host name",
    },
    { flags: "--cluster-range <cidr>", summary: "range for networks", fallback: "10.64.0.0/12" },
    {
      flags: "--service-range <cidr>",
      summary: "range for addresses of services, for networks that are made from now on",
      fallback: "the last sixteenth of the cluster's range",
    },
    {
      flags: "--store <url>",
      summary: "where the cluster's state lies: embedded, or etcds://HOST:PORT,HOST:PORT",
      fallback: "embedded",
    },
    ...STORE_FILE_OPTIONS,
    {
      flags: "--underlay-address <address>",
      summary: "where other nodes reach this one, for networks that span hosts; auto to find it",
      fallback: "the address that reaches the server",
    },
    {
      flags: "--underlay-port <number>",
      summary: "UDP port for that, open between all nodes",
      fallback: "4789",
    },
    {
      flags: "--lease <duration>",
      summary: "a node that was silent for this long is given up: 1s to 10m",
      fallback: "3s",
    },
    {
      flags: "--fence-hook <path>",
      summary: "program that makes sure that a dead node is dead; none takes it away",
    },
    {
      flags: "--engine-socket <path>",
      summary: "the engine's socket",
      fallback: "/var/run/docker.sock",
    },
    { flags: "--allow-host-mounts", summary: "stack files may mount paths of this machine" },
    {
      flags: "--allow-privileged",
      summary: "stack files may ask for privileged containers and devices",
    },
    {
      flags: "--installed <packages>",
      summary: "packages that the set-up installed, for uninstall",
    },
    {
      flags: "--join <url>",
      summary: "make this machine a node of the cluster there, instead of starting a server",
    },
    { flags: "--token <token>", summary: "for joining, by berth node join on the server" },
    { flags: "--fingerprint <sha256>", summary: "of the cluster's authority, likewise" },
    { flags: "--check", summary: "with --join: only check whether it could" },
    { flags: "--consent", summary: "systemd units may be added without a question" },
  ],
  examples: [
    { line: "berth platform start", does: "start it, or see that it runs" },
    {
      line: "berth platform start --http-port 80 --https-port 443",
      does: "answer routes on the ports that browsers and ACME servers expect",
    },
    {
      line: "berth platform start --host-dns 127.0.7.53:53",
      does: "names for this machine where resolv.conf can point to (it knows no ports)",
    },
    {
      line: "berth platform start --join https://10.0.0.1:7711 --token bj_... --fingerprint A1:B2:...",
      does: "join a cluster; berth node join prints the line",
    },
  ],
  run,
};

async function run(input: CommandInput): Promise<number> {
  const life = lifecycleOf(input);
  const before = readSettings(life.paths.settings);
  const changes = changesOf(input, before);
  if (hasSystemd() && process.getuid?.() === 0 && !(await mayAddUnits(input))) return EXIT.failed;
  const joining = await joined(input, { ...before, ...changes });
  if (joining === "checked") return EXIT.done;
  const settings = await startPlatform(life, { ...changes, ...joining });
  const { output } = input;
  const url = settings.joined?.url ?? `http://${settings.host}:${settings.port}`;
  if (output.json) output.line(JSON.stringify({ url, settings }));
  else if (settings.joined === undefined) {
    output.line(`  ${url}   admin token in ${life.paths.adminToken}`);
  } else
    output.line(`  ${settings.node} is a node of cluster ${settings.joined.cluster} at ${url}`);
  return EXIT.done;
}

/** What joining adds to the settings; nothing without `--join`. */
async function joined(
  input: CommandInput,
  settings: PlatformSettings,
): Promise<Partial<PlatformSettings> | "checked"> {
  const url = textOption(input, "join");
  if (url === undefined) return {};
  const { clock, paths } = lifecycleOf(input);
  const words = { url, node: settings.node, ...secretsOf(input) };
  const { joinCluster, checkCluster, isMemberAlready } = await import("../joining/join.ts");
  if (isMemberAlready(paths, settings, words.fingerprint)) {
    input.output.note("this machine is a node of that cluster already: it takes over this version");
    return flagOption(input, "check") ? "checked" : {};
  }
  const show = (finding: Finding) => showFinding(input.output, finding);
  const join = { words, paths, settings, environment: input.environment, clock, show };
  if (!flagOption(input, "check")) return joinCluster(join);
  await checkCluster(join);
  return "checked";
}

function secretsOf(input: CommandInput): { token: string; fingerprint: string } {
  const token = textOption(input, "token");
  const fingerprint = textOption(input, "fingerprint");
  if (token !== undefined && fingerprint !== undefined) return { token, fingerprint };
  const message =
    "--join needs --token and --fingerprint: berth node join on the server prints all";
  throw new ProtocolError("invalid_request", message);
}

function changesOf(input: CommandInput, before: PlatformSettings): Partial<PlatformSettings> {
  const changes: { -readonly [Key in keyof PlatformSettings]?: PlatformSettings[Key] } = {};
  const port = portOption(input, "port");
  const httpPort = portOption(input, "httpPort");
  const httpsPort = portOption(input, "httpsPort");
  const hostDns = textOption(input, "hostDns");
  const node = textOption(input, "node");
  const range = textOption(input, "clusterRange");
  const lease = leaseOption(input);
  if (lease !== undefined) changes.leaseMs = lease;
  const hook = fenceHookOption(input);
  if (hook !== undefined) changes.fenceHook = hook;
  const socket = textOption(input, "engineSocket");
  const installed = (textOption(input, "installed") ?? "").split(",").filter((name) => name !== "");
  if (port !== undefined) changes.port = port;
  if (httpPort !== undefined) changes.httpPort = httpPort;
  if (httpsPort !== undefined) changes.httpsPort = httpsPort;
  const trusted = rangesOption(input, "trustedProxies");
  const proxied = rangesOption(input, "proxyProtocolFrom");
  if (trusted !== undefined) changes.trustedProxies = trusted;
  if (proxied !== undefined) changes.proxyProtocolFrom = proxied;
  if (hostDns !== undefined) changes.hostDns = checkHostDns(hostDns);
  if (node !== undefined) changes.node = node;
  if (range !== undefined) changes.clusterRange = checkClusterRange(range);
  const serviceRange = textOption(input, "serviceRange");
  if (serviceRange !== undefined) changes.serviceRange = checkServiceRange(serviceRange);
  if (socket !== undefined) changes.engineSocket = socket;
  const underlayAddress = underlayOption(input);
  if (underlayAddress !== undefined) changes.underlayAddress = underlayAddress;
  const underlayPort = portOption(input, "underlayPort");
  if (underlayPort !== undefined) changes.underlayPort = underlayPort;
  const store = storeOption(input, "store", before.store);
  if (store !== undefined) changes.store = store;
  if (flagOption(input, "allowHostMounts")) changes.allowHostMounts = true;
  if (flagOption(input, "allowPrivileged")) changes.allowPrivileged = true;
  changes.installedPackages = [...new Set([...before.installedPackages, ...installed])];
  return changes;
}

/** `10.0.0.0/8,192.0.2.1`; `none` is the empty list. */
function rangesOption(input: CommandInput, name: string): string[] | undefined {
  const text = textOption(input, name);
  if (text === undefined) return undefined;
  const ranges = text === "none" ? [] : text.split(",").map((range) => range.trim());
  const wrong = ranges.find((range) => !isRange(range));
  if (wrong === undefined) return ranges;
  const message = `"${wrong}" is no address or range such as 10.0.0.0/8`;
  throw new ProtocolError("invalid_request", message, { name });
}

function underlayOption(input: CommandInput): string | undefined {
  const text = textOption(input, "underlayAddress");
  if (text === undefined || text === UNDERLAY_AUTO || isIPv4(text)) return text;
  const message = `"${text}" is no IPv4 address of this machine, nor ${UNDERLAY_AUTO}`;
  throw new ProtocolError("invalid_request", message, { name: "underlay-address" });
}

function leaseOption(input: CommandInput): number | undefined {
  const text = textOption(input, "lease");
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms !== undefined && ms >= LEASE_MS_MIN && ms <= LEASE_MS_MAX) return Math.round(ms);
  throw new ProtocolError("invalid_request", `"${text}" is no duration of 1s to 10m`, { text });
}

/** The program alone: arguments can be added in platform.json. `none` is the empty list. */
function fenceHookOption(input: CommandInput): string[] | undefined {
  const text = textOption(input, "fenceHook");
  if (text === undefined) return undefined;
  if (text === "none") return [];
  if (isAbsolute(text) && existsSync(text)) return [text];
  throw new ProtocolError("invalid_request", `"${text}" is no absolute path of a program`, {});
}

function portOption(input: CommandInput, name: string): number | undefined {
  const text = textOption(input, name);
  if (text === undefined) return undefined;
  const port = Number(text);
  if (Number.isInteger(port) && port >= 1 && port <= 65_535) return port;
  throw new ProtocolError("invalid_request", `"${text}" is no port; expected 1 to 65535`, { name });
}

async function mayAddUnits(input: CommandInput): Promise<boolean> {
  if (flagOption(input, "consent") || !process.stdin.isTTY) return true;
  const { ask } = await import("../output/ask.ts");
  const question = "Add the systemd units berth-server and berth-agent? [Y/n] ";
  const answer = await ask(question, { signal: input.signal });
  if (["", "y", "yes"].includes(answer.trim().toLowerCase())) return true;
  input.output.note("nothing was changed");
  return false;
}
