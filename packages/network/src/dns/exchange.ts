/** One question to one resolver and its answer, over UDP or TCP, within a time limit. */

import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import type { Clock } from "@berth/base";
import { frameMessage, MessageReader } from "./tcp-frame.ts";

export interface Resolver {
  readonly address: string;
  readonly port: number;
}

export interface ExchangeCall<T> {
  readonly resolver: Resolver;
  readonly message: Buffer;
  /** The answer that the bytes are, or `undefined` to wait for better ones (forged or stray packets). */
  readonly accept: (message: Buffer) => T | undefined;
  readonly clock: Clock;
  readonly timeoutMs: number;
}

/** `undefined` after the time limit. Rejects when the resolver's host says that nobody listens. */
export function exchangeUdp<T>(call: ExchangeCall<T>): Promise<T | undefined> {
  const { address, port } = call.resolver;
  const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
  return settle(call, (resolve, reject) => {
    socket.on("error", reject);
    socket.on("message", (message) => {
      const answer = call.accept(message);
      if (answer !== undefined) resolve(answer);
    });
    // Connected: the kernel drops packets of other senders and reports a refusal at once.
    socket.connect(port, address, () => socket.send(call.message));
    return () => socket.close();
  });
}

/** As `exchangeUdp`, on a connection of its own: for answers that do not fit a packet. */
export function exchangeTcp<T>(call: ExchangeCall<T>): Promise<T | undefined> {
  const { address, port } = call.resolver;
  const socket = connect({ host: address, port });
  return settle(call, (resolve, reject) => {
    const reader = new MessageReader();
    socket.on("error", reject);
    socket.on("close", () => resolve(undefined));
    socket.on("data", (chunk: Buffer) => {
      for (const message of reader.push(chunk)) {
        const answer = call.accept(message);
        if (answer !== undefined) resolve(answer);
      }
    });
    socket.write(frameMessage(call.message));
    return () => socket.destroy();
  });
}

/** Resolves once, with the first of answer, failure and time limit, and then closes the socket. */
function settle<T>(
  call: ExchangeCall<T>,
  begin: (resolve: (answer: T | undefined) => void, reject: (error: Error) => void) => () => void,
): Promise<T | undefined> {
  return new Promise((resolve, reject) => {
    let close: (() => void) | undefined;
    let settled = false;
    const finish = (report: () => void) => {
      if (settled) return;
      settled = true;
      cancelTimer();
      close?.();
      report();
    };
    const cancelTimer = call.clock.setTimer(call.timeoutMs, () => finish(() => resolve(undefined)));
    close = begin(
      (answer) => finish(() => resolve(answer)),
      (error) => finish(() => reject(error)),
    );
  });
}
