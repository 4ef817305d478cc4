/**
 * Problems: everything that is wrong with a stack file, found in one go, each with its place.
 *
 * A load never stops at the first error: readers record a problem, return nothing for the value, and go on.
 * The number kept is bounded, because a file that is wrong a thousand times is wrong once, in its first lines.
 */

import { type Origin, positionOf } from "./tree/tree.ts";

/** One thing that is wrong (error) or not honoured (warning) in a stack file. */
export interface ComposeProblem {
  /** Absolute path of the file as it was given. */
  readonly file: string;
  /** 1-based; 1 when the whole file is meant. */
  readonly line: number;
  readonly column: number;
  /** `services.web.ports[0]`; empty for the whole file. */
  readonly path: string;
  readonly message: string;
  readonly severity: "error" | "warning";
  /** What would have been right. */
  readonly expected?: string;
  /** The nearest valid word. */
  readonly suggestion?: string;
}

/** What a problem can say beside its message. */
export interface ProblemExtras {
  readonly expected?: string | undefined;
  readonly suggestion?: string | undefined;
  /** Says that something is not there: nobody knows where a part of the files could not be read. */
  readonly absence?: true;
}

/** More than this many problems are not kept: the first ones explain the rest. */
export const PROBLEMS_MAX = 200;

/** Collects the problems of one load. */
export class Problems {
  readonly #errors: ComposeProblem[] = [];
  readonly #warnings: ComposeProblem[] = [];
  readonly #seen = new Set<string>();
  /** File and offset of every error. */
  readonly #places = new Set<string>();
  #incomplete = false;

  error(origin: Origin, path: string, message: string, extras: ProblemExtras = {}): undefined {
    this.#add(this.#errors, "error", { origin, path, message, extras });
  }

  warn(origin: Origin, path: string, message: string, extras: ProblemExtras = {}): undefined {
    this.#add(this.#warnings, "warning", { origin, path, message, extras });
  }

  /** A problem with a file as a whole: it is missing, too large or not text. */
  fileError(file: string, message: string, extras: ProblemExtras = {}): undefined {
    const origin = { source: { file, text: "", baseDirectory: "/" }, offset: 0 };
    this.#add(this.#errors, "error", { origin, path: "", message, extras });
  }

  /** An empty collection to try something with. */
  fork(): Problems {
    const forked = new Problems();
    forked.#incomplete = this.#incomplete;
    return forked;
  }

  /** Takes over what `other` collected. */
  adopt(other: Problems): void {
    for (const problem of other.#errors) this.#keep(this.#errors, problem);
    for (const place of other.#places) this.#places.add(place);
    this.#incomplete ||= other.#incomplete;
    for (const problem of other.#warnings) this.#keep(this.#warnings, problem);
  }

  /** What stands at a place was told of: that it is nothing, or unknown, is not said again. */
  isTold(origin: Origin): void {
    this.#places.add(placeOf(origin));
  }

  /** A part of the files could not be read: what is not there may be in it. */
  isIncomplete(): void {
    this.#incomplete = true;
  }

  /** Whether an error was recorded at this very place. */
  hasErrorAt(origin: Origin): boolean {
    return this.#places.has(placeOf(origin));
  }

  /** Whether an error was recorded that `is` holds for: what follows from it need not be said. */
  hasErrorThat(is: (problem: ComposeProblem) => boolean): boolean {
    return this.#errors.some(is);
  }

  get hasErrors(): boolean {
    return this.#errors.length > 0;
  }

  /** In the order of files and lines. */
  get errors(): readonly ComposeProblem[] {
    return this.#errors.toSorted(byPlace);
  }

  get warnings(): readonly ComposeProblem[] {
    return this.#warnings.toSorted(byPlace);
  }

  #add(
    list: ComposeProblem[],
    severity: "error" | "warning",
    found: { origin: Origin; path: string; message: string; extras: ProblemExtras },
  ): void {
    if (list.length >= PROBLEMS_MAX) return;
    const { origin, path, message, extras } = found;
    if (extras.absence === true && this.#incomplete) return;
    if (severity === "error") this.#places.add(placeOf(origin));
    const { line, column } = positionOf(origin);
    this.#keep(list, {
      file: origin.source.file,
      line,
      column,
      path,
      message,
      severity,
      ...(extras.expected === undefined ? {} : { expected: extras.expected }),
      ...(extras.suggestion === undefined ? {} : { suggestion: extras.suggestion }),
    });
  }

  /** The same is said once, however often it is noticed (a shared value is read at each use). */
  #keep(list: ComposeProblem[], problem: ComposeProblem): void {
    if (list.length >= PROBLEMS_MAX) return;
    const { file, line, column, path, message } = problem;
    const identity = `${file}\0${line}:${column}\0${path}\0${message}`;
    if (this.#seen.has(identity)) return;
    this.#seen.add(identity);
    list.push(problem);
  }
}

function placeOf({ source, offset }: Origin): string {
  return `${source.file}:${offset}`;
}

function byPlace(left: ComposeProblem, right: ComposeProblem): number {
  if (left.file !== right.file) return left.file < right.file ? -1 : 1;
  return left.line - right.line || left.column - right.column;
}

/** `compose.yaml:14:11  services.web.depends_on.dbb   no such service; did you mean "db"?` */
export function formatProblem(problem: ComposeProblem): string {
  const place = `${problem.file}:${problem.line}:${problem.column}`;
  const hints = [
    ...(problem.expected === undefined ? [] : [`expected ${problem.expected}`]),
    ...(problem.suggestion === undefined ? [] : [`did you mean ${problem.suggestion}?`]),
  ];
  const message = [problem.message, ...hints].join("; ");
  return problem.path === "" ? `${place}  ${message}` : `${place}  ${problem.path}   ${message}`;
}
