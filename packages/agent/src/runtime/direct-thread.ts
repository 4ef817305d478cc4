/**
 * The thread that waits for first processes of containers that are being started, and stops them.
 *
 * A thread of its own, before all others of this machine's turn: an agent that is busy for some hundredths of
 * a second (starting programs, writing its database) would see them too late. It looks every few
 * milliseconds while there is something to wait for, and sleeps otherwise.
 */

import { setPriority } from "node:os";
import { type MessagePort, parentPort, receiveMessageOnPort } from "node:worker_threads";
import { pause, stopInit } from "./direct-init.ts";

/** To the thread. `over`: the start has ended, what is not there now will not come. */
export type ToDirectThread =
  | { readonly kind: "wait"; readonly id: string; readonly processesPath: string }
  | { readonly kind: "over"; readonly id: string };

/** From it: that it looks from now on; once for each `wait` the stopped process, or that there was none in time. */
export type FromDirectThread =
  | { readonly kind: "ready" }
  | { readonly kind: "waited"; readonly id: string; readonly pid: number | undefined };

/** Between looks: a start takes 40 ms from the namespaces to the program on an idle machine, longer on others. */
const LOOK_MS = 2;
/** Nice value: what it does is short, and cannot wait. */
const PRIORITY = -10;

function serve(port: MessagePort): void {
  const post = (message: FromDirectThread) => port.postMessage(message);
  const waiting = new Map<string, string>();
  const take = (message: ToDirectThread) => {
    if (message.kind === "wait") waiting.set(message.id, message.processesPath);
    else if (waiting.has(message.id)) look(message.id, true);
  };
  const look = (id: string, isLast: boolean) => {
    const pid = stopInit(waiting.get(id) ?? "");
    if (pid === undefined && !isLast) return;
    waiting.delete(id);
    post({ kind: "waited", id, pid });
  };
  port.on("message", (first: ToDirectThread) => {
    take(first);
    while (waiting.size > 0) {
      for (const id of waiting.keys()) look(id, false);
      pause(LOOK_MS);
      for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) {
        take(next.message);
      }
    }
  });
  post({ kind: "ready" });
}

if (parentPort !== null) {
  try {
    setPriority(PRIORITY);
  } catch {
    // Without the right to it the thread is as fast as all others.
  }
  serve(parentPort);
}
