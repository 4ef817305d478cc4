/** What the compiler has to say about a place of the file. Positions are added by the source map. */

export interface CompileProblem {
  /** Keys from the top: `["services", "web", "volumes", 0]`. */
  readonly path: readonly (string | number)[];
  readonly message: string;
  readonly severity: "error" | "warning";
}

/** Collects problems below one place of the file. */
export class ProblemList {
  readonly all: CompileProblem[] = [];

  error(path: readonly (string | number)[], message: string): void {
    this.all.push({ path, message, severity: "error" });
  }

  warn(path: readonly (string | number)[], message: string): void {
    this.all.push({ path, message, severity: "warning" });
  }
}
