/**
 * The thread that connects containers: it waits for their first processes, stops them, attaches their
 * networks and lets them go.
 *
 * A thread of its own, before all others of this machine's turn, and with it the programs that it starts: an
 * agent that is busy for some hundredths of a second (its database, other programs) would see them too late,
 * and starting a program would stop the agent for as long as the machine is busy. It looks every few
 * milliseconds while there is something to wait for, and sleeps otherwise.
 */

import { existsSync } from "node:fs";
import { setPriority } from "node:os";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { killInit, releaseInit, stopInit } from "./direct-init.ts";
import { attach, type LinkSessions, linkSessions } from "./direct-links.ts";
import type { DirectLink } from "./direct-plan.ts";

/** What the thread is begun with. */
export interface DirectThreadData {
  /** On a volatile disk; it writes there what a program is to read. */
  readonly folder: string;
}

/** To the thread. `over`: the start has ended, what is not there now will not come. */
export type ToDirectThread =
  | ({ readonly kind: "connect"; readonly id: string } & DirectWork)
  | { readonly kind: "over"; readonly id: string };

export interface DirectWork {
  /** `cgroup.procs` of the container. */
  readonly processesPath: string;
  readonly links: readonly DirectLink[];
}

/** What became of a container: its first process goes on, was never seen, or was ended. */
export type DirectOutcome =
  | { readonly kind: "connected" }
  | { readonly kind: "unseen" }
  | { readonly kind: "failed"; readonly reason: string };

/** From the thread: that it looks from now on; once for each `connect` what became of it. */
export type FromDirectThread =
  | { readonly kind: "ready" }
  | { readonly kind: "done"; readonly id: string; readonly outcome: DirectOutcome };

/** Between looks: a start takes 40 ms from the namespaces to the program on an idle machine, longer on others. */
const LOOK_MS = 3;
/**
 * While no control group of those that are waited for is there, so no namespaces either: most of a start. A look
 * costs some 90 µs of processor, nearly all of it the timer's.
 */
const FAR_LOOK_MS = 8;
/** Nice value: what it does is short, and cannot wait. */
const PRIORITY = -10;

function serve(port: MessagePort, folder: string): void {
  const waiting = new Map<string, DirectWork>();
  const sessions = linkSessions(folder);
  let isLooking = false;
  const done = (id: string, outcome: DirectOutcome) => {
    port.postMessage({ kind: "done", id, outcome } satisfies FromDirectThread);
  };
  const lookFor = (id: string, work: DirectWork, isLast: boolean) => {
    const pid = stopInit(work.processesPath);
    if (pid === undefined && !isLast) return;
    waiting.delete(id);
    if (pid === undefined) done(id, { kind: "unseen" });
    else void connect(sessions, { id, pid, work }).then((outcome) => done(id, outcome));
  };
  const look = () => {
    for (const [id, work] of waiting) lookFor(id, work, false);
    isLooking = waiting.size > 0;
    if (!isLooking) return;
    const isNear = [...waiting.values()].some(({ processesPath }) => existsSync(processesPath));
    setTimeout(look, isNear ? LOOK_MS : FAR_LOOK_MS);
  };
  port.on("message", (message: ToDirectThread) => {
    if (message.kind === "over") {
      const work = waiting.get(message.id);
      if (work !== undefined) lookFor(message.id, work, true);
      return;
    }
    waiting.set(message.id, message);
    if (!isLooking) look();
  });
  port.postMessage({ kind: "ready" } satisfies FromDirectThread);
}

async function connect(
  sessions: LinkSessions,
  { id, pid, work }: { readonly id: string; readonly pid: number; readonly work: DirectWork },
): Promise<DirectOutcome> {
  const failure = await attach(sessions, work.links, { pid, containerId: id });
  if (failure === undefined) releaseInit(pid);
  else killInit(pid);
  return failure === undefined ? { kind: "connected" } : { kind: "failed", reason: failure };
}

if (parentPort !== null) {
  try {
    setPriority(PRIORITY);
  } catch {
    // Without the right to it the thread is as fast as all others.
  }
  const { folder } = workerData as DirectThreadData;
  serve(parentPort, folder);
}
