/**
 * Upgrades to `berth-stream/1`: exec for users, sessions for agents.
 *
 * The answer to an upgrade is sent when the handler has agreed, so that every refusal is an ordinary
 * problem document. From then on the socket belongs to the handler until it is done with it.
 */

import type { IncomingMessage, Server } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Logger, SECOND_MS } from "@berth/base";
import { asProtocolError, ProtocolError, STREAM_PROTOCOL } from "@berth/protocol";
import { SocketFrames } from "@berth/protocol/client/socket-frames";
import type { Dispatcher } from "../api/dispatcher.ts";
import type { Peer } from "../api/peer.ts";
import { callHeaders } from "./call-headers.ts";
import { checkHost } from "./host-guard.ts";
import { rawProblem } from "./http-answer.ts";
import { matchRoutes } from "./route-match.ts";

/** The system asks a silent peer whether it lives after this long. */
const KEEP_ALIVE_MS = 30 * SECOND_MS;

export interface UpgradeOptions {
  readonly dispatcher: Dispatcher;
  readonly log: Logger;
  readonly newId: () => string;
  readonly hostNames: readonly string[];
  /** Holds every upgraded socket while it is open. */
  readonly sockets: Set<Socket>;
  /** Whom the certificate of a connection speaks for. */
  readonly peerOf: (socket: Socket) => Peer | undefined;
}

export function acceptUpgrades(server: Server, options: UpgradeOptions): void {
  server.on("upgrade", (request: IncomingMessage, duplex: Duplex, head: Buffer) => {
    // Node hands out the connection's own socket.
    const socket = duplex as Socket;
    options.sockets.add(socket);
    socket.once("close", () => options.sockets.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.setTimeout(0);
    socket.setKeepAlive(true, KEEP_ALIVE_MS);
    void accept(request, socket, head, options);
  });
}

async function accept(
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
  options: UpgradeOptions,
): Promise<void> {
  const requestId = options.newId();
  const gone = new AbortController();
  socket.once("close", () => gone.abort(new ProtocolError("unavailable", "the client has gone")));
  try {
    checkHost(request.headers, options.hostNames);
    const answer = await options.dispatcher.dispatch(
      callOf(request, { socket, peer: options.peerOf(socket) }, requestId, gone.signal),
    );
    if (answer.kind !== "upgrade") {
      throw new ProtocolError("invalid_request", "this route is no upgrade");
    }
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${STREAM_PROTOCOL}\r\n\r\n`,
    );
    const frames = new SocketFrames(socket, head);
    await answer.run(frames).catch((error: unknown) => {
      options.log.warn("a session failed", { requestId, error });
    });
    frames.close();
  } catch (error) {
    socket.end(rawProblem(asProtocolError(error), requestId), () => socket.destroy());
  }
}

function callOf(
  request: IncomingMessage,
  { socket, peer }: { readonly socket: Socket; readonly peer: Peer | undefined },
  requestId: string,
  signal: AbortSignal,
): Parameters<Dispatcher["dispatch"]>[0] {
  const url = new URL(request.url ?? "/", "http://local");
  const match = matchRoutes(url.pathname).find(({ method }) => method === request.method);
  if (match === undefined) throw new ProtocolError("not_found", `there is no ${url.pathname}`);
  return {
    route: match.id,
    params: match.params,
    query: Object.fromEntries(url.searchParams),
    readBody: async () => undefined,
    headers: callHeaders(request.headers),
    ...(peer === undefined ? {} : { peer }),
    remoteAddress: socket.remoteAddress ?? "local",
    path: url.pathname,
    requestId,
    signal,
  };
}
