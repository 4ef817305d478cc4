/** Removes what `findLeftovers` listed, in the order in which nothing starts anew, and nothing else. */

import { readdirSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:http";
import { NetClient, netSocketPath } from "@berth/network/client";
import { ProtocolError } from "@berth/protocol";
import { runProgram } from "../image/run-program.ts";
import type { Leftovers } from "./leftovers.ts";
import { endProcess, type Lifecycle, stopPlatform, untilEnded } from "./lifecycle.ts";
import type { PlatformSettings } from "./settings.ts";
import { removeUnits } from "./systemd-units.ts";

/** Answers folders that stay, empty: file systems of their own are mounted there. */
export async function removeLeftovers(
  life: Lifecycle,
  settings: PlatformSettings,
  found: Leftovers & { readonly volumesChosen: readonly string[] },
): Promise<string[]> {
  await stopPlatform(life, { engine: false });
  if (found.units.length > 0) await removeUnits();
  const remove = (path: string) => deleteAtEngine(settings.engineSocket, path);
  for (const { id } of found.containers) await remove(`/containers/${id}?force=true&v=false`);
  await stopNet(life);
  for (const { id } of found.networks) await remove(`/networks/${id}`);
  for (const name of found.volumesChosen) await remove(`/volumes/${encodeURIComponent(name)}`);
  for (const table of found.firewallTables) {
    const [family = "", name = ""] = table.split(" ");
    await runProgram(["nft", "delete", "table", family, name]).catch(unlessGone);
  }
  if (settings.engineManaged) await endProcess(life, "engine");
  await unmountRun(life.paths.run);
  return found.folders.filter((folder) => !removeFolder(folder));
}

/** False for a mount point, which only its owner takes away: what was in it is gone. */
function removeFolder(folder: string): boolean {
  try {
    rmSync(folder, { recursive: true, force: true });
    return true;
  } catch (error) {
    // Node names no code for it.
    if (!mountPoints().includes(folder) || readdirSync(folder).length > 0) throw error;
    return false;
  }
}

/** `net` removes its table and ends HAProxy; a `net` that is gone leaves both to us. */
async function stopNet(life: Lifecycle): Promise<void> {
  const client = new NetClient({ socketPath: netSocketPath(life.paths.net) });
  try {
    const { pid, ingressPid } = await client.status();
    await client.stop({ ingress: true });
    // Until it has ended it may write into the folders that are about to go (logs, compiled code).
    await untilEnded(life, pid);
    if (ingressPid !== undefined) await untilEnded(life, ingressPid);
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
  }
}

function unlessGone(error: unknown): void {
  if (!(error instanceof ProtocolError)) throw error;
}

/** Secrets lie in a file system in memory below the run folder. */
async function unmountRun(folder: string): Promise<void> {
  const ours = mountPoints().filter((path) => isInside(path, folder));
  for (const path of ours.reverse()) await runProgram(["umount", path]);
}

/** In the order in which they were mounted. */
function mountPoints(): string[] {
  const lines = readFileSync("/proc/mounts", "utf8").split("\n");
  return lines.map((line) => line.split(" ")[1] ?? "");
}

function isInside(path: string, folder: string): boolean {
  return path === folder || path.startsWith(`${folder}/`);
}

function deleteAtEngine(socketPath: string, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    const outgoing = request({ socketPath, path, method: "DELETE", agent: false }, (incoming) => {
      incoming.resume();
      incoming.once("end", () => {
        const status = incoming.statusCode ?? 0;
        if (status < 300 || status === 404) resolve();
        else {
          const message = `the engine answered ${status} to DELETE ${path}`;
          reject(new ProtocolError("engine_error", message, { status, path }));
        }
      });
    });
    outgoing.once("error", reject);
    outgoing.end();
  });
}
