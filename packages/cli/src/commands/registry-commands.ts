/** `berth registry login | ls | logout` */

import { text as textOf } from "node:stream/consumers";
import { formatDuration } from "@berth/base";
import { ProtocolError, registryOf } from "@berth/protocol";
import { type CommandDescription, type CommandInput, flagOption, textOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { ask } from "../output/ask.ts";
import { table } from "../output/output.ts";

const SERVER = {
  name: "server",
  summary: "the registry, as images name it: registry.example.com:5000",
  required: true,
} as const;
const ONE_PROJECT = {
  flags: "--only-project",
  summary: "for the project in use (--project) alone, not for the whole cluster",
} as const;

export const login: CommandDescription = {
  summary: "keep a login that nodes use to look up, pull and build on images of a registry",
  details:
    "The password is read from the terminal or, with --password-stdin, from standard input; it is encrypted at rest and handed only to nodes that have work of a project that may use it. It is not tried here: the next deploy says when it is wrong.",
  arguments: [SERVER],
  options: [
    { flags: "-u, --username <name>", summary: "who logs in" },
    { flags: "--password-stdin", summary: "read the password from standard input" },
    ONE_PROJECT,
  ],
  examples: [
    { line: "berth registry login registry.example.com -u ci", does: "asks for the password" },
    {
      line: "berth registry login registry.example.com:5000 -u ci --password-stdin < password.txt",
      does: "without a terminal",
    },
    {
      line: "berth registry login docker.io -u team --only-project --project shop",
      does: "for images without a registry in their name, of one project",
    },
  ],
  async run(input) {
    const server = serverOf(input);
    const username = textOption(input, "username");
    if (username === undefined) {
      throw new ProtocolError("invalid_request", "who logs in is missing: give --username NAME");
    }
    const password = await passwordOf(input, `password of ${username} at ${server}: `);
    const known = await input.connect().call("putRegistry", {
      params: { server },
      body: { ...scopeOf(input), username, password },
      signal: input.signal,
    });
    if (input.output.json) input.output.line(JSON.stringify(known));
    else input.output.line(`${username} at ${server} is kept for ${whose(known.project)}`);
    return EXIT.done;
  },
};

export const list: CommandDescription = {
  summary: "logins at registries: the cluster's and the project's own",
  examples: [{ line: "berth registry ls", does: "registries and names, never passwords" }],
  async run(input) {
    const { output, signal } = input;
    const { project } = input.scope();
    const { items } = await input
      .connect()
      .call("listRegistries", { params: {}, query: { project }, signal });
    if (output.json) {
      for (const item of items) output.line(JSON.stringify(item));
      return EXIT.done;
    }
    const now = Date.now();
    const lines = items.map((item) => [
      item.server,
      item.username,
      whose(item.project),
      formatDuration(now - item.updatedAt),
    ]);
    for (const line of table(["REGISTRY", "USER", "FOR", "SINCE"], lines)) output.line(line);
    return EXIT.done;
  },
};

export const logout: CommandDescription = {
  summary: "forget a login at a registry",
  arguments: [SERVER],
  options: [ONE_PROJECT],
  examples: [
    { line: "berth registry logout registry.example.com", does: "images on nodes stay there" },
  ],
  async run(input) {
    const gone = await input.connect().call("removeRegistry", {
      params: { server: serverOf(input) },
      query: scopeOf(input),
      signal: input.signal,
    });
    if (input.output.json) input.output.line(JSON.stringify(gone));
    else input.output.line(`the login at ${gone.server} is forgotten`);
    return EXIT.done;
  },
};

/** `https://registry.example.com/` is what people paste. */
function serverOf(input: CommandInput): string {
  const text = (input.words[0] ?? "").replace(/^https?:\/\//, "").replace(/\/.*$/, "");
  return registryOf(`${text}/image`) === "docker.io" ? "docker.io" : text.toLowerCase();
}

function scopeOf(input: CommandInput): { readonly project?: string } {
  return flagOption(input, "onlyProject") ? { project: input.scope().project } : {};
}

function whose(project: string | undefined): string {
  return project === undefined ? "every project" : `project ${project}`;
}

async function passwordOf(input: CommandInput, question: string): Promise<string> {
  if (flagOption(input, "passwordStdin")) {
    const password = (await textOf(process.stdin)).replace(/\r?\n$/, "");
    if (password !== "") return password;
    throw new ProtocolError("invalid_request", "standard input has no password");
  }
  if (!process.stdin.isTTY) {
    const message = "there is no terminal to ask for the password at; give --password-stdin";
    throw new ProtocolError("invalid_request", message);
  }
  return ask(question, { signal: input.signal, hidden: true });
}
