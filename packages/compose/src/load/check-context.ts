import type { ComposeProject } from "../model/project-model.ts";
import type { ComposeProblem, ProblemExtras } from "../problem.ts";

/** What the checks share. */
export interface Check {
  readonly project: ComposeProject;
  readonly allServices: readonly string[];
  /** Whether something stands at a path, be it readable or not: what could not be read was named already. */
  wrote(path: string): boolean;
  /** Whether there is an error already that `is` holds for. */
  hasErrorThat(is: (problem: ComposeProblem) => boolean): boolean;
  error(path: string, message: string, extras?: ProblemExtras): void;
}
