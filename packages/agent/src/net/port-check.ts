/**
 * Which host ports a foreign program holds, found by trying to bind them: asked before a release is made, so
 * that a deploy fails in words at once instead of with a port that leads somewhere else.
 *
 * A port that our own HAProxy still holds (of a stack that has just gone) is free for us. What cannot be told
 * (an address that this host does not have now, no right to bind) is no reason to refuse: `net` tries again
 * by itself and says so.
 */

import { createSocket } from "node:dgram";
import { createServer } from "node:net";
import type { PortHolder } from "@berth/network";
import { commandLineOf, portHolder } from "@berth/network/port-problem";
import type { HostPortWish } from "@berth/protocol";

export interface TakenPort {
  readonly wish: HostPortWish;
  /** Absent where `/proc` does not tell. */
  readonly holder?: PortHolder;
}

/** `ownFolder` stands in the command lines of the programs that `net` starts. */
export async function portsTaken(
  wishes: readonly HostPortWish[],
  ownFolder: string | undefined,
): Promise<readonly TakenPort[]> {
  const taken: TakenPort[] = [];
  for (const wish of wishes) {
    if ((await bindCode(wish)) !== "EADDRINUSE") continue;
    const holder = portHolder({ id: wish.path, ...wish });
    if (holder !== undefined && ownFolder !== undefined) {
      if (commandLineOf(holder.pid).some((word) => word.startsWith(ownFolder))) continue;
    }
    taken.push({ wish, ...(holder === undefined ? {} : { holder }) });
  }
  return taken;
}

/** The error code of binding the port, which is given back at once; `undefined` when it can be had. */
function bindCode({ protocol, address, port }: HostPortWish): Promise<string | undefined> {
  return new Promise((resolve) => {
    const failed = (error: Error) => resolve("code" in error ? String(error.code) : error.message);
    if (protocol === "tcp") {
      const server = createServer().once("error", failed);
      server.listen({ host: address, port, exclusive: true }, () => {
        server.close(() => resolve(undefined));
      });
    } else {
      const socket = createSocket("udp4").once("error", failed);
      socket.bind({ address, port, exclusive: true }, () => socket.close(() => resolve(undefined)));
    }
  });
}
