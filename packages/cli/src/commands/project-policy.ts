/** `berth project policy` */

import { formatBytes, formatCpu, parseBytes } from "@berth/base";
import {
  GRANTS,
  type Grant,
  type PolicyView,
  ProtocolError,
  type Quota,
  STRATEGY_WORDS,
  type StrategyWord,
  WEIGHT_MAX,
  WEIGHT_WORDS,
} from "@berth/protocol";
import { type CommandDescription, type CommandInput, listOption, textOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { table } from "../output/output.ts";
import { overcommitAfter, placingLines, weightsAfter } from "./policy-placing.ts";

const WORDS = Object.keys(GRANTS) as Grant[];
const STRATEGIES = Object.keys(STRATEGY_WORDS) as StrategyWord[];

export const command: CommandDescription = {
  summary: "what stack files of the project may ask for, and how much; with options, change it",
  details: `Nothing is allowed at first. A deploy that asks for more is refused, with the key, its line and the command that would allow it. Words: ${WORDS.join(", ")}. What the platform allows everywhere (berth platform start --allow-host-mounts, --allow-privileged) cannot be denied to a project here. What runs already goes on. A copy that would go over the quota waits, and berth explain says so; requests are counted, and a copy that is being replaced counts once.`,
  options: [
    { flags: "--allow <word...>", summary: "allow it, once for each word" },
    { flags: "--deny <word...>", summary: "allow it no more, once for each word" },
    {
      flags: "--quota <limit...>",
      summary: "cpu=4, memory=8GiB, tasks=50, gpu=2 (any countable resource); =none takes it away",
    },
    {
      flags: "--strategy <strategy>",
      summary: `where copies go whose file does not say: ${STRATEGIES.join(", ")}; default takes it away`,
    },
    {
      flags: "--weight <score...>",
      summary: `how much a score counts: spread=30, 0 to ${WEIGHT_MAX}, =default; ${Object.keys(WEIGHT_WORDS).join(", ")}`,
    },
    {
      flags: "--overcommit <limit...>",
      summary:
        "burstable.cpu=150, best-effort.memory=120 (hundredths of a node to which requests may come), =none",
    },
  ],
  examples: [
    { line: "berth project policy", does: "what the project in use may ask for, and what it uses" },
    {
      line: "berth project policy --project shop --allow host-mounts --allow devices",
      does: "two things more",
    },
    { line: "berth project policy --project shop --deny devices", does: "one less" },
    {
      line: "berth project policy --project shop --quota cpu=16 --quota memory=64GiB --quota gpu=2",
      does: "what its copies may come to in all",
    },
    {
      line: "berth project policy --project batch --strategy tightest",
      does: "its copies share as few nodes as possible",
    },
    {
      line: "berth project policy --project batch --overcommit best-effort.cpu=200 --overcommit best-effort.memory=120",
      does: "copies of that class may use what others leave unused",
    },
    {
      line: "berth project policy --project shop --weight spread=30",
      does: "copies of a service lie further apart",
    },
  ],
  run,
};

async function run(input: CommandInput): Promise<number> {
  const { project } = input.scope();
  const api = input.connect();
  const before = await api.call("getPolicy", { params: { project }, signal: input.signal });
  const [allow, deny] = [grantsOf(input, "allow"), grantsOf(input, "deny")];
  const limits = listOption(input, "quota").map(limitOf);
  const strategy = strategyOf(input);
  const weights = weightsAfter(before.weights ?? {}, listOption(input, "weight"));
  const overcommit = overcommitAfter(before.overcommit ?? {}, listOption(input, "overcommit"));
  const placing = ["weight", "overcommit"].some((option) => listOption(input, option).length > 0);
  const changes = placing || allow.size + deny.size + limits.length > 0 || strategy !== undefined;
  const policy = changes
    ? await api.call("putPolicy", {
        params: { project },
        body: {
          allow: WORDS.filter(
            (word) => allow.has(word) || (before.allow.includes(word) && !deny.has(word)),
          ),
          ...strategyAfter(before.strategy, strategy),
          weights,
          overcommit,
          quota: limits.reduce(withLimit, before.quota ?? {}),
        },
        signal: input.signal,
      })
    : before;
  const { output } = input;
  if (output.json) output.line(JSON.stringify(policy));
  else for (const line of lines(policy)) output.line(line);
  return EXIT.done;
}

function lines(policy: PolicyView): string[] {
  const { strategy, quota = {}, weights = {}, overcommit = {} } = policy;
  const rows = WORDS.map((word) => [word, whoAllows(word, policy), GRANTS[word]]);
  const said = strategy ?? "balanced";
  return [
    ...table(["MAY ASK FOR", "ALLOWED", "WHAT IT IS"], rows),
    "",
    `strategy   ${said}${strategy === undefined ? " (default)" : ""}: ${STRATEGY_WORDS[said]}`,
    ...placingLines(weights, overcommit),
    "",
    ...table(["RESOURCE", "USED", "LIMIT"], quotaRows(quota, policy.used)),
  ];
}

function quotaRows(quota: Quota, used: Quota): string[][] {
  const row = (name: string, format: (amount: number) => string, use = 0, limit?: number) => [
    name,
    format(use),
    limit === undefined ? "none" : format(limit),
  ];
  return [
    row("cpu", formatCpu, used.cpuMillis, quota.cpuMillis),
    row("memory", formatBytes, used.memoryBytes, quota.memoryBytes),
    row("tasks", String, used.tasks, quota.tasks),
    ...Object.entries(quota.resources ?? {}).map(([name, limit]) =>
      row(name, String, used.resources?.[name], limit),
    ),
  ];
}

function whoAllows(
  word: Grant,
  policy: { readonly allow: readonly Grant[]; readonly everywhere: readonly Grant[] },
): string {
  if (policy.everywhere.includes(word)) return "everywhere";
  return policy.allow.includes(word) ? "project" : "no";
}

function grantsOf(input: CommandInput, option: "allow" | "deny"): ReadonlySet<Grant> {
  return new Set(
    listOption(input, option).map((text) => {
      const word = WORDS.find((each) => each === text);
      if (word !== undefined) return word;
      const message = `"${text}" is nothing that can be allowed: ${WORDS.join(", ")}`;
      throw new ProtocolError("invalid_request", message);
    }),
  );
}

interface Limit {
  readonly name: string;
  /** `undefined` takes the limit away. */
  readonly amount: number | undefined;
}

function limitOf(text: string): Limit {
  const [, name = "", value = ""] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (value === "none") return { name, amount: undefined };
  const amount = amountOf(name, value);
  if (amount !== undefined && Number.isSafeInteger(amount) && amount >= 0) return { name, amount };
  const message = `--quota ${text}: expected cpu=1.5, memory=8GiB, tasks=50 or RESOURCE=2, or =none`;
  throw new ProtocolError("invalid_request", message);
}

function amountOf(name: string, value: string): number | undefined {
  if (name === "") return undefined;
  if (name === "memory") return parseBytes(value);
  return name === "cpu" ? Math.round(Number(value) * 1_000) : Number(value);
}

const FIELDS: ReadonlyMap<string, "cpuMillis" | "memoryBytes" | "tasks"> = new Map([
  ["cpu", "cpuMillis"],
  ["memory", "memoryBytes"],
  ["tasks", "tasks"],
]);

function withLimit(quota: Quota, { name, amount }: Limit): Quota {
  const field = FIELDS.get(name);
  if (field !== undefined) {
    const { [field]: _before, ...rest } = quota;
    return amount === undefined ? rest : { ...rest, [field]: amount };
  }
  const { resources = {}, ...rest } = quota;
  const others = Object.entries(resources).filter(([each]) => each !== name);
  const after = [...others, ...(amount === undefined ? [] : [[name, amount] as const])];
  return after.length === 0 ? rest : { ...rest, resources: Object.fromEntries(after) };
}

/** `default` takes the project's own strategy away. */
function strategyOf(input: CommandInput): StrategyWord | "default" | undefined {
  const text = textOption(input, "strategy");
  const word = STRATEGIES.find((each) => each === text);
  if (word !== undefined || text === undefined) return word;
  if (text === "default") return text;
  const message = `--strategy ${text}: there are ${STRATEGIES.join(", ")}, default`;
  throw new ProtocolError("invalid_request", message);
}

function strategyAfter(
  before: StrategyWord | undefined,
  wanted: StrategyWord | "default" | undefined,
): { readonly strategy?: StrategyWord } {
  const strategy = wanted === "default" ? undefined : (wanted ?? before);
  return strategy === undefined ? {} : { strategy };
}
