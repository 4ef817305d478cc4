/** `berth project policy` */

import { GRANTS, type Grant, ProtocolError } from "@berth/protocol";
import { type CommandDescription, type CommandInput, listOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { table } from "../output/output.ts";

const WORDS = Object.keys(GRANTS) as Grant[];

export const command: CommandDescription = {
  summary: "what stack files of the project may ask of their hosts; with options, change it",
  details: `Nothing is allowed at first. A deploy that asks for more is refused, with the key, its line and the command that would allow it. Words: ${WORDS.join(", ")}. What the platform allows everywhere (berth platform start --allow-host-mounts, --allow-privileged) cannot be denied to a project here. What runs already goes on.`,
  options: [
    { flags: "--allow <word...>", summary: "allow it, once for each word" },
    { flags: "--deny <word...>", summary: "allow it no more, once for each word" },
  ],
  examples: [
    { line: "berth project policy", does: "what the project in use may ask for" },
    {
      line: "berth project policy --project shop --allow host-mounts --allow devices",
      does: "two things more",
    },
    { line: "berth project policy --project shop --deny devices", does: "one less" },
  ],
  run,
};

async function run(input: CommandInput): Promise<number> {
  const { project } = input.scope();
  const api = input.connect();
  const before = await api.call("getPolicy", { params: { project }, signal: input.signal });
  const [allow, deny] = [grantsOf(input, "allow"), grantsOf(input, "deny")];
  const wanted = WORDS.filter(
    (word) => allow.has(word) || (before.allow.includes(word) && !deny.has(word)),
  );
  const changes = allow.size + deny.size > 0;
  const policy = changes
    ? await api.call("putPolicy", {
        params: { project },
        body: { allow: wanted },
        signal: input.signal,
      })
    : before;
  const { output } = input;
  if (output.json) output.line(JSON.stringify(policy));
  else {
    const rows = WORDS.map((word) => [word, whoAllows(word, policy), GRANTS[word]]);
    for (const line of table(["MAY ASK FOR", "ALLOWED", "WHAT IT IS"], rows)) output.line(line);
  }
  return EXIT.done;
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
