/** `berth platform stop` */

import { formatDuration, parseDuration } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import { type CommandDescription, type CommandInput, flagOption, textOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { type StopOutcome, stopPlatform } from "../platform/lifecycle.ts";
import { lifecycleOf } from "../platform/platform-life.ts";
import { STOP_TASKS_MS } from "../platform/stop-request.ts";

export const command: CommandDescription = {
  summary: "stop Berth on this machine; containers keep running unless --drain is given",
  details:
    "Ends server, agent and supervisor. Containers, names and requests go on (net and HAProxy stay); nothing restarts or replaces them until the platform is started again. With --drain the containers stop first, as before a shutdown of the host: out of names and routes, open connections end, then the processes, who needs a service before it; they begin again with the platform. From three quarters of the time on nothing is waited for any more.",
  options: [
    { flags: "--drain", summary: "stop the containers first, in order of dependency" },
    {
      flags: "--timeout <duration>",
      summary: `time for all containers with --drain; ${formatDuration(STOP_TASKS_MS)} by default`,
    },
    { flags: "--engine", summary: "stop the container engine, too, if Berth started it" },
  ],
  examples: [
    { line: "berth platform stop", does: "stop; berth platform start goes on from there" },
    { line: "berth platform stop --drain --timeout 60s", does: "with all containers, in order" },
  ],
  async run(input) {
    const drainMs = flagOption(input, "drain") ? timeoutMsOf(input) : undefined;
    const outcome = await stopPlatform(lifecycleOf(input), {
      engine: flagOption(input, "engine"),
      ...(drainMs === undefined ? {} : { drainMs }),
    });
    if (input.output.json) input.output.line(JSON.stringify(outcome));
    else input.output.line(wordsOf(outcome));
    return (outcome.left ?? 0) === 0 ? EXIT.done : EXIT.failed;
  },
};

function timeoutMsOf(input: CommandInput): number {
  const text = textOption(input, "timeout");
  if (text === undefined) return STOP_TASKS_MS;
  const timeoutMs = parseDuration(text);
  if (timeoutMs !== undefined && timeoutMs > 0) return timeoutMs;
  throw new ProtocolError("invalid_request", `"${text}" is no duration: 60s, 5m`, { text });
}

function wordsOf({ ended, left }: StopOutcome): string {
  if (ended.length === 0) return "nothing of Berth runs on this machine";
  const names = ended.join(", ");
  if (left === undefined) return `stopped ${names}; containers keep running`;
  if (left === 0) return `all containers stopped, then ${names}`;
  const count = left === 1 ? "1 container runs" : `${left} containers run`;
  return `stopped ${names}; the time is over and ${count} on`;
}
