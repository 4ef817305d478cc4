/**
 * Which stack and env files a command reads: named, by `COMPOSE_FILE`, or found.
 *
 * Variables of Compose's own may stand in `.env`, which lies beside the stack file: files are found with the caller's
 * variables first, and once more with those of the `.env` that is there, as the reference does.
 */

import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { nodeFiles, variablesBeside } from "@berth/compose";
import { ProtocolError } from "@berth/protocol";

/** What a command says of its files. */
interface AskedFiles {
  /** Of `-f`; `-` is standard input. */
  readonly given: readonly string[];
  /** Of `--env-file`. */
  readonly envFiles: readonly string[];
  /** Of `--project-directory`, absolute. */
  readonly directory: string | undefined;
  readonly environment: Readonly<Record<string, string>>;
  readonly workingDirectory: string;
}

interface StackFiles {
  /** Absolute; `-` is standard input. */
  readonly files: readonly string[];
  /** Absolute; `undefined` for `.env` beside the stack file. */
  readonly envFiles: readonly string[] | undefined;
  /** The caller's variables, and those of the `.env` by which the files were found. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Looked for in this order, as Compose does. */
const FILE_NAMES = ["compose.yaml", "compose.yml", "docker-compose.yml", "docker-compose.yaml"];

/** The first of these beside a file that was looked for lies over it, as in Compose; not over one that was named. */
const OVERRIDE_NAMES = [
  "compose.override.yml",
  "compose.override.yaml",
  "docker-compose.override.yml",
  "docker-compose.override.yaml",
];

/**
 * See the module comment.
 *
 * @throws ProtocolError `invalid_request` where there is no stack file.
 */
export function stackFiles(asked: AskedFiles): StackFiles {
  const { environment, workingDirectory } = asked;
  const envFiles = envFilesOf(asked);
  const first = directoryOf(filesOf(asked, environment), asked);
  const more = envFiles === undefined ? {} : { envFiles };
  const variables = variablesBeside(first, { environment, ...more, fs: nodeFiles });
  const files = filesOf(asked, variables);
  if (files === undefined) {
    throw new ProtocolError(
      "invalid_request",
      `there is no compose.yaml in ${workingDirectory} or above it; name one with -f`,
      { folder: workingDirectory },
    );
  }
  return { files, envFiles, environment: variables };
}

/** Where relative paths start, and `.env` lies. */
function directoryOf(
  [first]: readonly string[] = [],
  { directory, workingDirectory }: AskedFiles,
): string {
  if (directory !== undefined) return directory;
  return first === undefined || first === "-" ? workingDirectory : dirname(first);
}

function envFilesOf(asked: AskedFiles): readonly string[] | undefined {
  const { envFiles, environment, workingDirectory } = asked;
  const names =
    envFiles.length > 0
      ? envFiles
      : listed("COMPOSE_ENV_FILES", environment["COMPOSE_ENV_FILES"] || undefined, ",");
  if (names !== undefined) return names.map((name) => resolve(workingDirectory, name));
  return isTrue("COMPOSE_DISABLE_ENV_FILE", environment) ? [] : undefined;
}

function filesOf(
  { given, workingDirectory }: AskedFiles,
  environment: Readonly<Record<string, string>>,
): readonly string[] | undefined {
  const separator = environment["COMPOSE_PATH_SEPARATOR"] || ":";
  const names =
    given.length > 0 ? given : listed("COMPOSE_FILE", environment["COMPOSE_FILE"], separator);
  if (names === undefined) return foundFiles(workingDirectory);
  return names.map((name) => (name === "-" ? name : resolve(workingDirectory, name)));
}

/** The names in a variable, which is `undefined` where it is not set. */
function listed(
  variable: string,
  text: string | undefined,
  separator: string,
): readonly string[] | undefined {
  const names = text?.split(separator);
  if (names?.every((name) => name !== "") !== false) return names;
  throw new ProtocolError(
    "invalid_request",
    `${variable} is ${JSON.stringify(text)}: a name in it is empty; expected paths with ${JSON.stringify(separator)} between them, or no such variable`,
    { variable, value: text },
  );
}

function foundFiles(start: string): readonly string[] | undefined {
  for (let folder = start; ; folder = dirname(folder)) {
    const name = FILE_NAMES.find((each) => existsSync(join(folder, each)));
    if (name !== undefined) {
      const override = OVERRIDE_NAMES.find((each) => existsSync(join(folder, each)));
      const names = override === undefined ? [name] : [name, override];
      return names.map((each) => join(folder, each));
    }
    if (folder === dirname(folder)) return undefined;
  }
}

const TRUE = ["1", "t", "T", "TRUE", "true", "True"];
const FALSE = ["0", "f", "F", "FALSE", "false", "False"];

function isTrue(name: string, environment: Readonly<Record<string, string>>): boolean {
  const value = environment[name];
  if (value === undefined || FALSE.includes(value)) return false;
  if (TRUE.includes(value)) return true;
  throw new ProtocolError(
    "invalid_request",
    `${name} is ${JSON.stringify(value)}; expected true or false`,
    { name, value },
  );
}
