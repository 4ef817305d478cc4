/**
 * Units of ours on machines with systemd. Killing a unit kills its main process only: HAProxy and `net`
 * outlive a restart of the agent, containers belong to the engine anyway.
 */

import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { firstLineOf, runProgram } from "../image/run-program.ts";
import { hasSystemd } from "./local-engine.ts";
import type { PlatformPaths } from "./paths.ts";
import { ownProcess, ownProcesses, processEnvironment } from "./process-table.ts";
import type { PlatformSettings } from "./settings.ts";
import { STOP_TASKS_MS } from "./stop-request.ts";

const UNIT_DIR = "/etc/systemd/system";
export const UNITS = ["berth-server", "berth-agent"] as const;

/**
 * When the host shuts down, systemd ends the agent before the engine (the reverse of `After`), and the agent
 * stops the containers in order: this is that time and what the agent itself takes.
 */
const AGENT_STOP_SECONDS = STOP_TASKS_MS / 1_000 + 20;

function unitText(name: (typeof UNITS)[number], paths: PlatformPaths): string {
  const process = name === "berth-server" ? "server" : "agent";
  const environment = Object.entries(processEnvironment(paths))
    .map(([key, value]) => `Environment=${JSON.stringify(`${key}=${value}`)}`)
    .join("\n");
  const after = process === "agent" ? "docker.service network-online.target" : "network.target";
  // systemd gives a unit up after five starts in ten seconds, unless it is told not to count.
  return `[Unit]
Description=Berth ${process}
After=${after}
StartLimitIntervalSec=0

[Service]
ExecStart=${ownProcess(process).map(quoted).join(" ")}
${environment}
Restart=always
RestartSec=100ms
KillMode=process
${process === "agent" ? `TimeoutStopSec=${AGENT_STOP_SECONDS}\n` : ""}LimitNOFILE=infinity

[Install]
WantedBy=multi-user.target
`;
}

function quoted(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : JSON.stringify(word);
}

/** Writes units that differ, and starts them. Answers which were new or changed. */
export async function installUnits(
  paths: PlatformPaths,
  settings: PlatformSettings,
): Promise<string[]> {
  const changed: string[] = [];
  const units = ownProcesses(settings).map((name) => `berth-${name}` as const);
  for (const name of units) {
    const file = join(UNIT_DIR, `${name}.service`);
    const text = unitText(name, paths);
    if (existsSync(file) && readFileSync(file, "utf8") === text) continue;
    writeFileSync(file, text, { mode: 0o644 });
    changed.push(name);
  }
  if (changed.length > 0) await runProgram(["systemctl", "daemon-reload"]);
  await runProgram(["systemctl", "enable", "--now", ...units]);
  if (changed.length > 0) await runProgram(["systemctl", "restart", ...changed]);
  return changed;
}

export async function stopUnits(): Promise<void> {
  const present = UNITS.filter((name) => existsSync(join(UNIT_DIR, `${name}.service`)));
  if (present.length > 0) await runProgram(["systemctl", "disable", "--now", ...present]);
}

export async function removeUnits(): Promise<void> {
  await stopUnits();
  for (const name of UNITS) rmSync(join(UNIT_DIR, `${name}.service`), { force: true });
  await runProgram(["systemctl", "daemon-reload"]);
}

/** Main process of a unit that runs. */
export async function unitPid(unit: string): Promise<number | undefined> {
  if (!hasSystemd()) return undefined;
  const pid = Number(await firstLineOf("systemctl", ["show", "--value", "-p", "MainPID", unit]));
  return pid > 0 ? pid : undefined;
}

/** Unit files of ours that exist. */
export function presentUnits(): string[] {
  return UNITS.map((name) => join(UNIT_DIR, `${name}.service`)).filter((file) => existsSync(file));
}
