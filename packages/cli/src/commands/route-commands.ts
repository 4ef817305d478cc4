/** `berth route ls` and `berth route logs` */

import { formatBytes } from "@berth/base";
import type { RouteStanding } from "@berth/protocol";
import { type CommandDescription, type CommandInput, flagOption, textOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import type { Colour, Output } from "../output/output.ts";
import { table } from "../output/output.ts";
import { targetOf } from "../target.ts";

export const ls: CommandDescription = {
  summary: "routes: who has which host, path or port, and how they stand",
  details:
    "Requests and answers are counted since the data plane of each node began, by HAProxy. A route that is degraded has its reasons below the table.",
  arguments: [{ name: "stack", summary: "only its routes", required: false }],
  examples: [
    { line: "berth route ls", does: "every route of the environment" },
    { line: "berth route ls shop --json", does: "one JSON object a route" },
  ],
  run: list,
};

export const logs: CommandDescription = {
  summary: "requests from outside, as the access log has them",
  details:
    "A line for each request: time, client, method, host, path, status, the copy that answered, milliseconds. Queries are not logged.",
  arguments: [
    { name: "target", summary: "STACK or STACK/SERVICE; all when absent", required: false },
  ],
  options: [
    { flags: "-f, --follow", summary: "go on with what comes" },
    { flags: "-n, --tail <lines>", summary: "last lines of each node", fallback: "100" },
  ],
  examples: [
    { line: "berth route logs shop/web -f", does: "requests to web as they end" },
    { line: "berth route logs --json -n 1000", does: "the last thousand as JSON lines" },
  ],
  run: showLog,
};

const TAIL = "100";

async function list(input: CommandInput): Promise<number> {
  const { output, signal } = input;
  const [stack] = input.words;
  const { routes, missing } = await input.connect().call("listRoutes", {
    params: input.scope(),
    query: stack === undefined ? {} : { stack },
    signal,
  });
  if (output.json) {
    for (const route of routes) output.line(JSON.stringify(route));
  } else {
    const header = [
      "ROUTE",
      "SERVICE",
      "PORT",
      "STATE",
      "READY",
      "REQUESTS",
      "4XX",
      "5XX",
      "OUT",
      "ANSWER",
    ];
    const rows = routes.map((route) => rowOf(route, output));
    for (const line of table(header, rows)) output.line(line);
    for (const { route, problems } of routes) {
      for (const problem of problems)
        output.line(`${output.paint("red", "!")} ${route}: ${problem}`);
    }
  }
  for (const { node, message } of missing) {
    output.note(`what node ${node} serves is missing: ${message}`);
  }
  return EXIT.done;
}

const STATE_COLOURS: Readonly<Record<RouteStanding["state"], Colour>> = {
  serving: "green",
  empty: "yellow",
  degraded: "red",
  waiting: "grey",
};

function rowOf(standing: RouteStanding, output: Output): string[] {
  const { route, stack, service, port, state, ready, traffic } = standing;
  return [
    route,
    `${stack}/${service}`,
    String(port),
    output.paint(STATE_COLOURS[state], state),
    String(ready),
    String(traffic?.requests ?? ""),
    String(traffic?.statuses[3] ?? ""),
    String(traffic?.statuses[4] ?? ""),
    traffic === undefined ? "" : formatBytes(traffic.bytesOut),
    traffic === undefined ? "" : `${Math.round(traffic.answerMsMean)} ms`,
  ];
}

async function showLog(input: CommandInput): Promise<number> {
  const { output, signal } = input;
  const [word] = input.words;
  const target = word === undefined ? undefined : targetOf(input, word);
  const follow = flagOption(input, "follow");
  const lines = await input.connect().call("readAccessLog", {
    params: input.scope(),
    query: {
      ...(target === undefined ? {} : { stack: target.stack }),
      ...(target?.service === undefined ? {} : { service: target.service }),
      ...(follow ? { follow: "true" } : {}),
      tail: textOption(input, "tail") ?? TAIL,
    },
    signal,
  });
  for await (const line of lines) {
    output.line(output.json ? JSON.stringify(line) : lineText(line as LogEntry, output));
  }
  return EXIT.done;
}

/** What is shown of a line; docs/reference/routes.md has them all. */
interface LogEntry {
  readonly time?: string;
  readonly client?: string;
  readonly method?: string;
  readonly host?: string;
  readonly path?: string;
  readonly protocol?: string;
  readonly route?: string;
  readonly task?: string;
  readonly status?: number;
  readonly totalMs?: number;
  readonly bytesOut?: number;
}

function lineText(entry: LogEntry, output: Output): string {
  const { time = "", client = "", method, host = "", path = "", task = "-", status } = entry;
  const what = method === undefined ? (entry.route ?? "") : `${method} ${host}${path}`;
  const colour = status === undefined || status < 400 ? "green" : status < 500 ? "yellow" : "red";
  return [
    output.paint("grey", time),
    output.paint(colour, String(status ?? entry.protocol ?? "")),
    client,
    what,
    output.paint("blue", task),
    `${entry.totalMs ?? 0} ms`,
    formatBytes(entry.bytesOut ?? 0),
  ].join("  ");
}
