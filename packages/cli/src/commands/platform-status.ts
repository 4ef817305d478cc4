/** `berth platform status` */

import { join } from "node:path";
import { ProtocolError } from "@berth/protocol";
import type { CommandDescription, CommandInput } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { table } from "../output/output.ts";
import { formatWords } from "../platform/format-check.ts";
import { answersAt, DOMAIN, hostDnsOf } from "../platform/host-dns.ts";
import { type Lifecycle, runningVersion } from "../platform/lifecycle.ts";
import { pingEngine } from "../platform/local-engine.ts";
import { lifecycleOf } from "../platform/platform-life.ts";
import { livingProcess } from "../platform/process-record.ts";
import { type PlatformSettings, readSettings } from "../platform/settings.ts";

export const command: CommandDescription = {
  summary: "what of Berth runs on this machine",
  examples: [{ line: "berth platform status", does: "processes, engine, server and node" }],
  run,
};

interface Part {
  readonly part: string;
  readonly up: boolean;
  readonly detail: string;
}

async function run(input: CommandInput): Promise<number> {
  const parts = await lookAt(lifecycleOf(input));
  if (input.output.json) input.output.line(JSON.stringify({ parts }));
  else {
    const { paint } = input.output;
    const rows = parts.map(({ part, up, detail }) => [
      part,
      up ? paint("green", "up") : paint("red", "down"),
      detail,
    ]);
    for (const line of table(["PART", "STATE", ""], rows)) input.output.line(line);
  }
  return parts.every(({ up }) => up) ? EXIT.done : EXIT.failed;
}

async function lookAt(life: Lifecycle): Promise<Part[]> {
  const settings = readSettings(life.paths.settings);
  const ping = await pingEngine(settings.engineSocket);
  const version = await runningVersion(life);
  return [
    {
      part: "engine",
      up: ping !== undefined,
      detail: `${ping === undefined ? "no answer" : `API ${ping.apiVersion}`} at ${settings.engineSocket}`,
    },
    processPart(life, "supervisor", settings.systemd),
    {
      part: "server",
      up: version !== undefined,
      detail: `${version ?? "no answer"} at http://${settings.host}:${settings.port}`,
    },
    await nodePart(life, settings.node, version !== undefined),
    ...(await namesPart(settings)),
    ...(version === undefined ? [] : await formatsPart(life)),
  ];
}

/** No row where an older server does not say it. */
async function formatsPart(life: Lifecycle): Promise<Part[]> {
  try {
    const { formats } = await life.connect().call("listServers", { params: {} });
    return formats === undefined
      ? []
      : [{ part: "formats", up: true, detail: `level ${formatWords(formats)}` }];
  } catch (error) {
    if (error instanceof ProtocolError) return [];
    throw error;
  }
}

/** Names for this machine itself; no row when that is switched off. */
async function namesPart(settings: PlatformSettings): Promise<Part[]> {
  const place = hostDnsOf(settings);
  if (place === undefined) return [];
  const up = await answersAt(place);
  const answer = up ? "answered for this machine" : "no answer";
  return [{ part: "names", up, detail: `*.${DOMAIN} ${answer} at ${place.address}:${place.port}` }];
}

function processPart(life: Lifecycle, name: string, systemd: boolean): Part {
  if (systemd) return { part: name, up: true, detail: "systemd" };
  const pid = livingProcess(join(life.paths.processes, name));
  return { part: name, up: pid !== undefined, detail: pid === undefined ? "" : `pid ${pid}` };
}

async function nodePart(life: Lifecycle, name: string, reachable: boolean): Promise<Part> {
  const down = { part: "agent", up: false };
  if (!reachable) return { ...down, detail: `node ${name}: the server does not answer` };
  try {
    const { node, status } = await life.connect().call("getNode", { params: { node: name } });
    const detail = `node ${name}, ${status?.agentVersion ?? "never reported"}`;
    return { part: "agent", up: node.contact === "up", detail };
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    return { ...down, detail: `node ${name}: ${error.message}` };
  }
}
