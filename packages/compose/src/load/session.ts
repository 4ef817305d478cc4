/**
 * What the parts of one load share: files, problems, environment, limits.
 */

import type { ComposeFiles } from "../files.ts";
import { FILE_BYTES_MAX, FILES_MAX, INCLUSIONS_MAX } from "../limits.ts";
import type { Problems } from "../problem.ts";
import { parseDotenv, parseRawEnv } from "../text/dotenv.ts";
import type { Lookup } from "../text/template.ts";
import type { Origin } from "../tree/tree.ts";

/** Environment variables by name. */
export type Environment = ReadonlyMap<string, string>;

/** One load. Reads every file once, within the limits. */
export class Session {
  readonly problems: Problems;
  readonly interpolate: boolean;
  readonly files: ComposeFiles;
  readonly #texts = new Map<string, string | undefined>();
  readonly #remote: (url: string) => string | undefined;
  #inclusions = 0;

  constructor(
    files: ComposeFiles,
    problems: Problems,
    interpolate: boolean,
    remote: (url: string) => string | undefined = () => undefined,
  ) {
    this.#remote = remote;
    this.files = files;
    this.problems = problems;
    this.interpolate = interpolate;
  }

  /** Counts an included file; false when there were too many. */
  mayInclude(): boolean {
    return ++this.#inclusions <= INCLUSIONS_MAX;
  }

  /** Whether the caller's policy allows a remote file. Reads it: the answer may be asked for again. */
  mayLoad(url: string): boolean {
    return url.startsWith("https://") && this.#remote(url) !== undefined;
  }

  isFile(path: string): boolean {
    return this.files.stat(path) === "file";
  }

  /** The text of a file; `undefined` after recording why not, at `asked` when another file asked for it. */
  read(file: string, asked?: Origin, path = ""): string | undefined {
    if (this.#texts.has(file)) return this.#texts.get(file);
    const fail = (message: string): undefined =>
      asked === undefined
        ? this.problems.fileError(file, message)
        : this.problems.error(asked, path, `${file} ${message}`);
    if (this.#texts.size >= FILES_MAX) return fail(`is one of more than ${FILES_MAX} files`);
    const text = file.startsWith("https://") ? this.#remote(file) : this.files.readText(file);
    if (text === undefined) return fail(this.#absence(file));
    // Lengths are UTF-16 units: a byte count needs a copy, and the two differ only for texts far over the limit.
    if (text.length > FILE_BYTES_MAX) return fail(`is larger than ${FILE_BYTES_MAX >> 20} MB`);
    if (text.includes("\0")) return fail("is not text");
    this.#texts.set(file, text);
    return text;
  }

  #absence(file: string): string {
    return this.files.stat(file) === "directory"
      ? "is a directory"
      : "does not exist or is not readable";
  }

  /** Variables of an env file; problems name the file's own lines. */
  readEnv(
    file: string,
    form: {
      readonly raw?: boolean;
      /** Its variables become those of a process, all of which have names. */
      readonly named?: boolean;
      readonly asked?: Origin;
      readonly path?: string;
    },
    lookup: Lookup,
  ): Environment {
    const read = this.read(file, form.asked, form.path);
    if (read === undefined) return new Map();
    // The reference takes env files of any encoding for UTF-8.
    const text = read.toWellFormed();
    const result = form.raw === true ? parseRawEnv(text, lookup) : parseDotenv(text, lookup);
    const source = { file, text, baseDirectory: "/" };
    const nameless = form.named === true ? result.namelessLine : undefined;
    const more =
      nameless === undefined ? [] : [{ line: nameless, message: "has no name for its value" }];
    for (const { line, message } of [...result.problems, ...more]) {
      this.problems.error({ source, offset: offsetOfLine(text, line) }, form.path ?? "", message);
    }
    return result.values;
  }
}

function offsetOfLine(text: string, line: number): number {
  let offset = 0;
  for (let current = 1; current < line; current++) {
    const next = text.indexOf("\n", offset);
    if (next < 0) return offset;
    offset = next + 1;
  }
  return offset;
}

/** `environment` with what `more` has beside it. */
export function withDefaults(environment: Environment, more: Environment): Environment {
  return new Map([...more, ...environment]);
}
