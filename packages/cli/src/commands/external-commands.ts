/** `berth secret` and `berth config-file`: create | update | ls | describe | rm */

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { buffer } from "node:stream/consumers";
import { formatBytes, formatDuration } from "@berth/base";
import {
  EXTERNAL_FILE_BYTES_MAX,
  EXTERNAL_FILE_NAME_PATTERN,
  type ExternalFile,
  type ExternalFileKind,
  ProtocolError,
} from "@berth/protocol";
import { type CommandDescription, type CommandInput, flagOption, textOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { ask } from "../output/ask.ts";
import { table } from "../output/output.ts";

interface Noun {
  readonly kind: ExternalFileKind;
  /** As typed. */
  readonly word: "secret" | "config-file";
  /** For examples. */
  readonly name: string;
  readonly file: string;
}

type Verbs = Readonly<
  Record<"create" | "update" | "list" | "describe" | "remove", CommandDescription>
>;

/** The commands of both nouns: they differ in words, and in that a config may be read. */
export const EXTERNAL_COMMANDS: Readonly<Record<Noun["word"], Verbs>> = {
  secret: verbsOf({ kind: "secret", word: "secret", name: "db_password", file: "password.txt" }),
  "config-file": verbsOf({
    kind: "config",
    word: "config-file",
    name: "nginx_conf",
    file: "nginx.conf",
  }),
};

function verbsOf(noun: Noun): Verbs {
  return {
    create: writing(noun, "create"),
    update: writing(noun, "update"),
    list: listing(noun),
    describe: describing(noun),
    remove: removing(noun),
  };
}

function nameArgument({ kind }: Noun) {
  return [{ name: "name", summary: `name of the ${kind}`, required: true }] as const;
}

/** What a file writes to use it. */
function usage({ kind, name }: Noun): string {
  return `A stack file names it: ${kind}s: {${name}: {external: true}}.`;
}

function writing(noun: Noun, how: "create" | "update"): CommandDescription {
  const { kind, word, name, file } = noun;
  const deeds = {
    create: {
      summary: `make a ${kind} of the environment, apart from stacks`,
      details: `${usage(noun)} A deploy takes the newest content and its release keeps that, also for going back to it.`,
    },
    update: {
      summary: `give a ${kind} of the environment another content`,
      details: `Stacks that run keep what they were deployed with; their next deploy takes the new content and replaces the copies that use it. The same content again changes nothing.`,
    },
  }[how];
  return {
    ...deeds,
    details: `${deeds.details} Content is taken byte for byte, at most ${formatBytes(EXTERNAL_FILE_BYTES_MAX)}, from --file or standard input; typed at a terminal it is one line without its end.`,
    arguments: nameArgument(noun),
    options: [{ flags: "--file <path>", summary: "the content; standard input without it" }],
    examples: [
      { line: `berth ${word} ${how} ${name} --file ${file}`, does: "from a file" },
      {
        line:
          kind === "secret"
            ? `openssl rand -hex 32 | berth secret ${how} ${name}`
            : `envsubst < ${file} | berth config-file ${how} ${name}`,
        does: "from another program, never on a command line",
      },
    ],
    async run(input) {
      const content = await contentOf(input, noun);
      const file = await input.connect().call("putExternalFile", {
        params: paramsOf(input, noun),
        body: { how, content: content.toString("base64") },
        signal: input.signal,
      });
      if (input.output.json) input.output.line(JSON.stringify(file));
      else for (const line of writtenLines(file, how)) input.output.line(line);
      return EXIT.done;
    },
  };
}

function writtenLines(file: ExternalFile, how: "create" | "update"): string[] {
  const { kind, name, usedBy } = file;
  const version = newestOf(file);
  const done = how === "create" ? "is kept" : `is at version ${version.number}`;
  const behind = usedBy.filter((use) => use.version !== version.number);
  const stacks = [...new Set(behind.map(({ stack }) => stack))];
  return [
    `${kind} ${name} ${done} (${formatBytes(version.sizeBytes)})`,
    ...(stacks.length === 0
      ? []
      : [`deploy again for it to be used by: ${stacks.sort().join(", ")}`]),
  ];
}

async function contentOf(input: CommandInput, noun: Noun): Promise<Buffer> {
  const path = textOption(input, "file");
  const content = path === undefined ? await typedOrPiped(input, noun) : readContent(input, path);
  if (content.length <= EXTERNAL_FILE_BYTES_MAX) return content;
  const message = `the content has ${formatBytes(content.length)}; at most ${formatBytes(EXTERNAL_FILE_BYTES_MAX)} can be kept`;
  throw new ProtocolError("limit_exceeded", message, {
    limit: `${noun.kind} bytes`,
    value: content.length,
    maximum: EXTERNAL_FILE_BYTES_MAX,
  });
}

function readContent(input: CommandInput, path: string): Buffer {
  try {
    return readFileSync(resolve(input.workingDirectory, path));
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new ProtocolError("invalid_request", `${path} cannot be read: ${reason}`, { path });
  }
}

async function typedOrPiped(input: CommandInput, { kind, word }: Noun): Promise<Buffer> {
  if (!process.stdin.isTTY) {
    const piped = await buffer(process.stdin);
    if (piped.length > 0) return piped;
    const message = `standard input is empty; give the content there, or --file PATH`;
    throw new ProtocolError("invalid_request", message);
  }
  const question = `content of the ${kind}: `;
  const typed = await ask(question, { signal: input.signal, hidden: kind === "secret" });
  if (typed !== "") return Buffer.from(typed, "utf8");
  const message = `nothing was typed; berth ${word} --help shows how content is given`;
  throw new ProtocolError("invalid_request", message);
}

function listing(noun: Noun): CommandDescription {
  const { kind, word } = noun;
  return {
    summary: `${kind}s of the environment, apart from stacks, and who uses them`,
    examples: [
      { line: `berth ${word} ls`, does: "names, versions and users, never contents" },
      { line: `berth ${word} ls --env test --json`, does: "one value a line" },
    ],
    async run(input) {
      const { output, signal } = input;
      const params = { ...input.scope(), kind };
      const { items } = await input.connect().call("listExternalFiles", { params, signal });
      if (output.json) {
        for (const item of items) output.line(JSON.stringify(item));
        return EXIT.done;
      }
      const now = Date.now();
      const rows = items.map((item) => {
        const { number, sizeBytes, createdAt } = newestOf(item);
        const since = formatDuration(now - createdAt);
        return [item.name, String(number), formatBytes(sizeBytes), since, usersOf(item)];
      });
      const headings = [kind.toUpperCase(), "VERSION", "SIZE", "SINCE", "USED BY"];
      for (const line of table(headings, rows)) output.line(line);
      return EXIT.done;
    },
  };
}

/** `shop, blog (at 2)`: with the version where it is not the newest. */
function usersOf(file: ExternalFile): string {
  const newest = newestOf(file).number;
  const users = file.usedBy.map(({ stack, version }) =>
    version === newest ? stack : `${stack} (at ${version})`,
  );
  return users.length === 0 ? "-" : [...new Set(users)].sort().join(", ");
}

function newestOf({ versions }: ExternalFile): ExternalFile["versions"][number] {
  return versions.at(-1) ?? { number: 0, sizeBytes: 0, createdAt: 0, createdBy: "" };
}

function describing(noun: Noun): CommandDescription {
  const { kind, word, name } = noun;
  const isConfig = kind === "config";
  return {
    summary: `versions of a ${kind} of the environment, and which stack uses which`,
    details: isConfig ? usage(noun) : `${usage(noun)} Its content is shown to nobody.`,
    arguments: nameArgument(noun),
    ...(isConfig ? { options: [{ flags: "--content", summary: "the newest content alone" }] } : {}),
    examples: [
      { line: `berth ${word} describe ${name}`, does: "without its content" },
      ...(isConfig
        ? [{ line: `berth ${word} describe ${name} --content > ${noun.file}`, does: "to edit it" }]
        : []),
    ],
    async run(input) {
      const api = input.connect();
      const params = paramsOf(input, noun);
      if (isConfig && flagOption(input, "content")) {
        const { content } = await api.call("getExternalContent", { params, signal: input.signal });
        process.stdout.write(Buffer.from(content, "base64"));
        return EXIT.done;
      }
      const file = await api.call("getExternalFile", { params, signal: input.signal });
      if (input.output.json) input.output.line(JSON.stringify(file));
      else for (const line of describedLines(file, Date.now())) input.output.line(line);
      return EXIT.done;
    },
  };
}

function describedLines(file: ExternalFile, now: number): string[] {
  const { kind, name, project, environment, versions, usedBy } = file;
  const rows = versions.toReversed().map(({ number, sizeBytes, createdAt, createdBy }) => {
    const users = usedBy.filter(({ version }) => version === number);
    return [
      String(number),
      formatBytes(sizeBytes),
      formatDuration(now - createdAt),
      createdBy,
      users.length === 0
        ? "-"
        : users.map(({ stack, release }) => `${stack} (release ${release})`).join(", "),
    ];
  });
  return [
    `${kind} ${name} of ${project}/${environment}`,
    ...table(["VERSION", "SIZE", "SINCE", "BY", "USED BY"], rows),
  ];
}

function removing(noun: Noun): CommandDescription {
  const { kind, word, name } = noun;
  return {
    summary: `remove a ${kind} of the environment; refused while a stack uses it`,
    arguments: nameArgument(noun),
    options: [{ flags: "--dry-run", summary: "say what would be removed, and whether it can be" }],
    examples: [
      { line: `berth ${word} rm ${name} --dry-run`, does: "changes nothing" },
      { line: `berth ${word} rm ${name}`, does: "older releases keep their copies" },
    ],
    async run(input) {
      const api = input.connect();
      const params = paramsOf(input, noun);
      if (flagOption(input, "dryRun")) {
        const file = await api.call("getExternalFile", { params, signal: input.signal });
        if (input.output.json) input.output.line(JSON.stringify(file));
        else input.output.line(trialLine(file));
        return file.usedBy.length === 0 ? EXIT.done : EXIT.failed;
      }
      const gone = await api.call("removeExternalFile", { params, signal: input.signal });
      if (input.output.json) input.output.line(JSON.stringify(gone));
      else input.output.line(`${kind} ${gone.name} is removed`);
      return EXIT.done;
    },
  };
}

function trialLine(file: ExternalFile): string {
  const { kind, name, usedBy } = file;
  const { number } = newestOf(file);
  if (usedBy.length === 0) return `${kind} ${name} (version ${number}) would be removed`;
  return `${kind} ${name} cannot be removed: it is used by ${usersOf(file)}`;
}

const NAME = new RegExp(EXTERNAL_FILE_NAME_PATTERN);

function paramsOf(input: CommandInput, { kind }: Noun) {
  const [external = ""] = input.words;
  if (NAME.test(external)) return { ...input.scope(), kind, external };
  const expected =
    "1 to 64 letters, digits, dots, dashes and underscores, a letter or digit at both ends";
  throw new ProtocolError(
    "invalid_request",
    `"${external}" is no name of a ${kind}; expected ${expected}`,
  );
}
