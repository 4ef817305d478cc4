/**
 * `berth server`, `berth agent`, `berth net`: the processes of the platform, in the foreground of this
 * terminal. What `berth platform start` keeps running, for those who have a supervisor of their own.
 *
 * Each runs as a process of its own: it has other flags for the memory of Node than the command line has,
 * and it owns its signals and its end. Signals travel on; the exit code is the process's.
 */

import { spawn } from "node:child_process";
import { constants } from "node:os";
import { ProtocolError } from "@berth/protocol";
import type { CommandDescription, CommandInput } from "../command.ts";
import { localPaths } from "../connection/context.ts";
import { EXIT } from "../exit-code.ts";
import { ownProcess, processEnvironment } from "../platform/process-table.ts";

const WHERE =
  "Reads its settings from the data directory (BERTH_DATA), logs to standard error, and ends in order on SIGTERM or Ctrl-C.";

/** Signals that end one of our processes in order. */
const PASSED_ON = ["SIGTERM", "SIGINT"] as const;

export const server: CommandDescription = {
  summary: "run the server in the foreground: API, controllers, scheduler, store",
  details: WHERE,
  examples: [
    { line: "berth server", does: "serves on the address of the settings, 127.0.0.1:7710" },
    { line: "BERTH_DATA=/srv/berth berth server", does: "with another data directory" },
  ],
  run: (input) => runProcess(input, "server"),
};

export const agent: CommandDescription = {
  summary: "run the agent of this node in the foreground; it keeps net running",
  details: `${WHERE} Containers go on when it ends; they are adopted when it starts again.`,
  examples: [{ line: "berth agent", does: "runs what the server wants on this node" }],
  run: (input) => runProcess(input, "agent"),
};

export const net: CommandDescription = {
  summary: "run names, service addresses and requests of this node in the foreground",
  details: `${WHERE} The agent starts it by itself; one at a time holds a node's data plane.`,
  examples: [{ line: "berth net", does: "what the agent runs beside itself" }],
  run: (input) => runProcess(input, "net"),
};

function runProcess(input: CommandInput, name: "server" | "agent" | "net"): Promise<number> {
  const [program = process.execPath, ...words] = ownProcess(name);
  const level = input.environment["BERTH_LOG"];
  const env = {
    ...processEnvironment(localPaths(input.environment)),
    ...(level === undefined ? {} : { BERTH_LOG: level }),
  };
  const child = spawn(program, words, { stdio: "inherit", env });
  // Ctrl-C reaches the child through the terminal as well; ending twice is ending once.
  const pass = (signal: NodeJS.Signals) => child.kill(signal);
  for (const signal of PASSED_ON) process.on(signal, pass);
  const ended = new Promise<number>((resolve, reject) => {
    child.once("error", (cause) => {
      const message = `the ${name} process could not be started: ${cause.message}`;
      reject(new ProtocolError("internal", message, { program }, { cause }));
    });
    child.once("exit", (code, signal) => {
      resolve(code ?? (signal === null ? EXIT.failed : 128 + constants.signals[signal]));
    });
  });
  return ended.finally(() => {
    for (const signal of PASSED_ON) process.removeListener(signal, pass);
  });
}
