/**
 * The variables of a project: the caller's, and under them those of `--env-file` or of `.env` beside the stack file.
 */

import type { ComposeFiles } from "../files.ts";
import { Problems } from "../problem.ts";
import { type Environment, Session, withDefaults } from "./session.ts";

/** What env files are read with. */
export interface VariableSources {
  /** Variables of the caller: they win over env files. */
  readonly environment: Readonly<Record<string, string>>;
  /** Env files, absolute; `.env` of the directory by default, where it exists. */
  readonly envFiles?: readonly string[];
}

/** The caller's variables with those of the env files; problems go to the session. */
export function environmentOf(
  session: Session,
  options: VariableSources,
  directory: string,
): Environment {
  const own = `${directory === "/" ? "" : directory}/.env`;
  const files = options.envFiles ?? (session.isFile(own) ? [own] : []);
  const environment: Environment = new Map(Object.entries(options.environment));
  let more: Environment = new Map();
  const lookup = (name: string) => environment.get(name) ?? more.get(name);
  for (const file of files) {
    const read = session.readEnv(file, { named: true }, lookup);
    more = new Map([...more, ...read]);
  }
  return withDefaults(environment, more);
}

/** The same before there is a load: who looks for stack files asks. Best effort where an env file is wrong, which the load tells. */
export function variablesBeside(
  directory: string,
  options: VariableSources & { readonly fs: ComposeFiles },
): Record<string, string> {
  const session = new Session(options.fs, new Problems(), true);
  return Object.fromEntries(environmentOf(session, options, directory));
}
