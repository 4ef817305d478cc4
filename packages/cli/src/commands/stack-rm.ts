/** `berth stack rm` */

import { type ApiClient, ProtocolError } from "@berth/protocol";
import { allPages, pageQuery } from "../all-pages.ts";
import { type CommandDescription, type CommandInput, flagOption, listOption } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { EXIT } from "../exit-code.ts";
import { type Target, targetOf } from "../target.ts";

export const command: CommandDescription = {
  summary: "stop and remove a stack; its volumes stay unless named",
  arguments: [{ name: "stack", summary: "the stack", required: true }],
  options: [
    { flags: "--volumes <names...>", summary: "volumes to remove with their data, or all" },
    { flags: "-y, --yes", summary: "do not ask" },
    { flags: "--dry-run", summary: "show what would be removed and kept" },
    { flags: "-d, --detach", summary: "do not wait until everything is gone" },
  ],
  examples: [
    { line: "berth stack rm shop", does: "lists what goes and what stays, asks, removes" },
    { line: "berth stack rm shop --volumes db-data --yes", does: "with one volume and its data" },
  ],
  run,
};

async function run(input: CommandInput): Promise<number> {
  const target = targetOf(input, input.words[0] ?? "");
  const { stack } = target;
  const api = input.connect();
  const { services } = await api.call("getStack", { params: { ...target }, signal: input.signal });
  const present = await volumesOf(input, api, target);
  const wanted = listOption(input, "volumes");
  const volumes = wanted.includes("all") ? present : wanted;
  const unknown = volumes.find((name) => !present.includes(name));
  if (unknown !== undefined) {
    const known = present.length === 0 ? "it has none" : `it has ${present.join(", ")}`;
    throw new ProtocolError("not_found", `${stack} has no volume "${unknown}"; ${known}`);
  }
  const lines = summary(stack, { services, volumes, present });
  if (flagOption(input, "dryRun")) return dryRun(input, { stack, lines, volumes, present });
  // Who said yes already, in a script, is told what was done and no more.
  if (input.output.interactive || !flagOption(input, "yes")) {
    for (const line of lines) input.output.note(line);
  }
  if (!(await confirmed(input, stack, "the stack's name"))) return EXIT.failed;
  await api.call("removeStack", {
    params: { ...target },
    query: volumes.length === 0 ? {} : { volumes: volumes.join(",") },
    signal: input.signal,
  });
  if (!flagOption(input, "detach")) await untilGone(input, api, target);
  if (input.output.json) input.output.line(JSON.stringify({ removed: stack, volumes }));
  else input.output.line(`${stack} is removed`);
  return EXIT.done;
}

function dryRun(
  { output }: CommandInput,
  found: {
    readonly stack: string;
    readonly lines: readonly string[];
    readonly volumes: readonly string[];
    readonly present: readonly string[];
  },
): number {
  const { stack, lines, volumes, present } = found;
  const keeps = present.filter((name) => !volumes.includes(name));
  if (output.json) output.line(JSON.stringify({ stack, removesVolumes: volumes, keeps }));
  else for (const line of [...lines, "nothing was removed"]) output.line(line);
  return EXIT.done;
}

async function volumesOf(input: CommandInput, api: ApiClient, target: Target): Promise<string[]> {
  const { project, environment, stack } = target;
  const views = await allPages((after) =>
    api.call("listVolumes", {
      params: { project, environment },
      query: { stack, ...pageQuery(after) },
      signal: input.signal,
    }),
  );
  return [...new Set(views.map(({ volume }) => volume.name))];
}

function summary(
  stack: string,
  found: {
    readonly services: readonly {
      readonly wanted: number;
      readonly reachable: readonly string[];
    }[];
    readonly volumes: readonly string[];
    readonly present: readonly string[];
  },
): string[] {
  const { services, volumes, present } = found;
  const copies = services.reduce((sum, service) => sum + service.wanted, 0);
  const reachable = services.flatMap((service) => service.reachable);
  const routes = reachable.length === 0 ? "" : `, ${reachable.join(", ")}`;
  const kept = present.filter((name) => !volumes.includes(name));
  return [
    `removes ${counted(services.length, "service", "services")} (${counted(copies, "copy", "copies")})${routes}`,
    ...volumes.map((name) => `removes the volume ${stack}/${name} and its data`),
    ...kept.map(
      (name) => `keeps   the volume ${stack}/${name}      remove it too: --volumes ${name}`,
    ),
  ];
}

function counted(count: number, one: string, many: string): string {
  return `${count} ${count === 1 ? one : many}`;
}

async function untilGone(input: CommandInput, api: ApiClient, target: Target): Promise<void> {
  const { project, environment, stack } = target;
  const selectors = [{ kind: "stack" as const, project, environment, stack }];
  const events = await api.call("watch", { params: {}, body: { selectors }, signal: input.signal });
  let seen = false;
  for await (const event of events) {
    if (event.type === "put") seen = true;
    if (event.type === "delete" || (event.type === "synced" && !seen)) return;
    if (event.type === "resync") return untilGone(input, api, target);
  }
}
