/**
 * Holds the published UDP ports of the host with sockets of our own, so that nobody else takes one while it
 * is translated, and so that a port that somebody else has is left to him and told.
 *
 * Nothing is read from the sockets: datagrams are translated before they would arrive here.
 */

import { createSocket, type Socket } from "node:dgram";
import { once } from "node:events";
import type { UdpPortModel } from "../model.ts";
import type { NetProblem } from "../report.ts";

interface Hold {
  readonly port: UdpPortModel;
  readonly socket: Socket;
}

export class UdpHolds {
  readonly #holds = new Map<string, Hold>();
  #problems: readonly NetProblem[] = [];

  /** The ports of `wanted` that are ours now; those that are not wanted any more are given up. */
  async hold(wanted: readonly UdpPortModel[]): Promise<readonly UdpPortModel[]> {
    const byKey = new Map(wanted.map((port) => [keyOf(port), port]));
    for (const [key, { socket }] of this.#holds) {
      if (byKey.has(key)) continue;
      this.#holds.delete(key);
      socket.close();
    }
    const problems: NetProblem[] = [];
    const held: UdpPortModel[] = [];
    for (const [key, port] of byKey) {
      const problem = this.#holds.has(key) ? undefined : await this.#take(key, port);
      if (problem === undefined) held.push(port);
      else problems.push(problem);
    }
    this.#problems = problems;
    return held;
  }

  problems(): readonly NetProblem[] {
    return this.#problems;
  }

  close(): void {
    for (const { socket } of this.#holds.values()) socket.close();
    this.#holds.clear();
  }

  async #take(key: string, port: UdpPortModel): Promise<NetProblem | undefined> {
    const socket = createSocket("udp4");
    try {
      socket.bind({ address: port.hostAddress, port: port.hostPort, exclusive: true });
      await once(socket, "listening");
    } catch (error) {
      socket.close();
      return problemOf(port, error);
    }
    socket.unref();
    socket.on("error", () => {});
    this.#holds.set(key, { port, socket });
    return undefined;
  }
}

function keyOf({ hostAddress, hostPort }: UdpPortModel): string {
  return `${hostAddress}:${hostPort}`;
}

function problemOf({ id, hostAddress: address, hostPort: port }: UdpPortModel, error: unknown) {
  const code = error instanceof Error && "code" in error ? error.code : undefined;
  const detail = error instanceof Error ? error.message : String(error);
  if (code === "EADDRINUSE") return { code: "port_taken", id, address, port } as const;
  if (code === "EADDRNOTAVAIL") return { code: "address_missing", id, address, port } as const;
  if (code === "EACCES") return { code: "not_permitted", id, detail } as const;
  return { code: "part_failed", part: "addresses", detail } as const;
}
