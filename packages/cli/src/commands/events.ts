/** `berth events` */

import { type ApiClient, CLUSTER_SCOPE, type Event } from "@berth/protocol";
import { allPages, pageQuery } from "../all-pages.ts";
import { type CommandDescription, type CommandInput, flagOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import type { Colour, Output } from "../output/output.ts";
import { targetOf } from "../target.ts";

export const command: CommandDescription = {
  summary: "what happened: deployments, failures, nodes",
  arguments: [{ name: "target", summary: "STACK or STACK/SERVICE", required: false }],
  options: [
    { flags: "-f, --follow", summary: "go on with what happens" },
    {
      flags: "--cluster",
      summary: "of nodes and of the cluster itself, instead of an environment",
    },
  ],
  examples: [
    { line: "berth events", does: "of the environment, oldest first" },
    { line: "berth events shop -f", does: "of one stack, as they come" },
    { line: "berth events --cluster", does: "nodes that fell silent, were fenced, flap" },
  ],
  run,
};

async function run(input: CommandInput): Promise<number> {
  const [word] = input.words;
  const target = word === undefined ? undefined : targetOf(input, word);
  const query = {
    ...(target === undefined ? {} : { stack: target.stack }),
    ...(target?.service === undefined ? {} : { service: target.service }),
  };
  const api = input.connect();
  const { signal } = input;
  if (flagOption(input, "follow")) return follow(input, api, query);
  const events = await allPages((after) =>
    flagOption(input, "cluster")
      ? api.call("listClusterEvents", { params: {}, query: pageQuery(after), signal })
      : api.call("listEvents", {
          params: input.scope(),
          query: { ...query, ...pageQuery(after) },
          signal,
        }),
  );
  for (const event of events) show(input.output, event);
  return EXIT.done;
}

function scopeOf(input: CommandInput) {
  if (!flagOption(input, "cluster")) return input.scope();
  return { project: CLUSTER_SCOPE, environment: CLUSTER_SCOPE };
}

async function follow(
  input: CommandInput,
  api: ApiClient,
  query: { readonly stack?: string; readonly service?: string },
): Promise<number> {
  const selectors = [
    { kind: "event" as const, ...scopeOf(input), ...(query.stack ? { stack: query.stack } : {}) },
  ];
  const stream = await api.call("watch", { params: {}, body: { selectors }, signal: input.signal });
  for await (const item of stream) {
    if (item.type !== "put") continue;
    const event = item.value as Event;
    if (query.service === undefined || event.service === query.service) show(input.output, event);
  }
  return EXIT.done;
}

const COLOURS: Readonly<Record<Event["level"], Colour>> = {
  info: "grey",
  warning: "yellow",
  error: "red",
};

function show(output: Output, event: Event): void {
  if (output.json) {
    output.line(JSON.stringify(event));
    return;
  }
  const time = new Date(event.at).toISOString().slice(0, 19).replace("T", " ");
  const place = [event.stack, event.service].filter((part) => part !== undefined).join("/");
  const level = output.paint(COLOURS[event.level], event.level.padEnd(7));
  output.line(`${time}  ${level}  ${place === "" ? "" : `${place}  `}${event.message}`);
}
