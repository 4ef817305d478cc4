/**
 * The thread that answers names, so that nothing else that `net` does (starting programs, reading and
 * writing models) makes a query wait. It follows what it is told and owns the DNS sockets.
 */

import { readlinkSync } from "node:fs";
import { basename } from "node:path";
import { type MessagePort, parentPort, workerData } from "node:worker_threads";
import { Driver, lineLogger, Prng, systemClock } from "@berth/base";
import type { DnsThreadOptions, FromDnsThread, ToDnsThread } from "./dns-thread-messages.ts";
import { DnsServer } from "./server.ts";

function serve(port: MessagePort, { port: dnsPort }: DnsThreadOptions): void {
  const post = (message: FromDnsThread) => port.postMessage(message);
  // PID/task/TID of who asks, in this process's own numbers.
  post({ kind: "started", threadId: Number(basename(readlinkSync("/proc/thread-self"))) });
  const log = lineLogger({
    write: (line) => post({ kind: "log", line: line.trimEnd() }),
    now: () => systemClock.now(),
  });
  const driver = new Driver({ clock: systemClock, log, prng: new Prng(systemClock.now()) });
  let told = "[]";
  const server = new DnsServer({
    clock: systemClock,
    log,
    driver,
    port: dnsPort,
    onBound: () => {
      const problems = server.problems();
      const text = JSON.stringify(problems);
      if (text === told) return;
      told = text;
      post({ kind: "problems", problems });
    },
  });
  const answer = async (message: ToDnsThread) => {
    switch (message.kind) {
      case "apply":
        return server.apply(message.model);
      case "explain":
        return server.explain(message.question);
      case "figures":
        return server.figures();
      case "close":
        await server.close();
        await driver.stop();
        // Nothing is left that would keep the thread.
        setImmediate(() => port.close());
        return undefined;
    }
  };
  port.on("message", (message: ToDnsThread) => {
    const { id } = message;
    answer(message).then(
      (value) => post({ kind: "answer", id, value: value ?? undefined }),
      (error: unknown) => post({ kind: "failed", id, reason: String(error) }),
    );
  });
}

if (parentPort !== null) serve(parentPort, workerData as DnsThreadOptions);
