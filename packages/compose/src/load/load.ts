/**
 * `loadCompose`: stack files in, one project and its warnings out, or everything that is wrong at once.
 *
 *   files ─ parse ─ variables ─ extends ─ include ─ merge ─→ tree ─ read ─→ words ─ normalize ─→ project ─ check
 *
 * Pure over the file-system port; linear in the size of what is read. Never throws, whatever the input is. Design:
 * docs/design/compose.md.
 */

import { Budget } from "../codec/budget.ts";
import type { PrintedMap, Reading } from "../codec/codec.ts";
import type { ComposeFiles } from "../files.ts";
import { EXPANDED_PORTS_MAX, SERVICES_MAX, VALUES_MAX } from "../limits.ts";
import type { ComposeProject } from "../model/project-model.ts";
import type { ComposeService } from "../model/service-model.ts";
import { parentPath } from "../path.ts";
import { mergedForm } from "../print/merged-form.ts";
import type { MergedPlace } from "../print/merged-place.ts";
import { type ComposeProblem, Problems } from "../problem.ts";
import { type ProjectWords, projectWords } from "../spec/project-codec.ts";
import type { MapTree, Tree } from "../tree/tree.ts";
import { checkProject } from "./check.ts";
import { parseFile } from "./documents.ts";
import { environmentOf } from "./env-files.ts";
import { mergeGroup, type ParsedFile } from "./group.ts";
import { mapValues, normalize, withVariableValues } from "./normalize.ts";
import { type DeclaredParameters, readDeclarations, withParameters } from "./parameters.ts";
import { activeProfiles, isActive, profilesOf } from "./profiles.ts";
import { projectNameOf } from "./project-name.ts";
import { selectServices } from "./select-services.ts";
import { withFileValues } from "./service-files.ts";
import { type Environment, Session } from "./session.ts";
import { type SourceMap, TreeSourceMap } from "./source-map.ts";
import { warnUnhonoured } from "./warn.ts";

/** What to load and how. */
export interface LoadOptions {
  /** Absolute paths; later files lie over earlier ones. At least one. */
  readonly files: readonly string[];
  /** Absolute; the first file's directory by default. Relative paths and `.env` belong to it. */
  readonly projectDirectory?: string;
  /** Wins over `COMPOSE_PROJECT_NAME` and the key `name`. */
  readonly projectName?: string;
  /** Variables of the caller: they win over env files. */
  readonly environment: Readonly<Record<string, string>>;
  /** Env files for interpolation, absolute; `.env` of the project's directory by default, where it exists. */
  readonly envFiles?: readonly string[];
  /** Active profiles, `*` for all; `COMPOSE_PROFILES` by default. */
  readonly profiles?: readonly string[];
  /** Values of the parameters that the files declare, or who gives them: they win over every variable. */
  readonly parameters?: ParameterValues | ((declared: DeclaredParameters) => ParameterValues);
  /** False leaves variables as they are written. */
  readonly interpolate?: boolean;
  /** False leaves paths of the host as they are written. */
  readonly resolvePaths?: boolean;
  /** False leaves out what a file does not say: the default network, names of resources, implied dependencies. */
  readonly normalize?: boolean;
  /** False lets references lead nowhere. */
  readonly checkConsistency?: boolean;
  /** False leaves `env_file` unread: the files may be missing. */
  readonly readEnvFiles?: boolean;
  /** Only these services and what they depend on; each takes part whatever its profiles. */
  readonly services?: readonly string[];
  /**
   * The text of a remote file (`https://...`) that include or extends names; `undefined` where the caller's policy does not
   * allow it. Absent: no remote file is loaded. Fetching is the caller's business.
   */
  readonly remote?: (url: string) => string | undefined;
  readonly fs: ComposeFiles;
}

/** Values of parameters by name. */
export type ParameterValues = Readonly<Record<string, string>>;

/** A project with its warnings, or all problems at once. */
export type LoadResult =
  | {
      readonly ok: true;
      readonly project: ComposeProject;
      readonly warnings: readonly ComposeProblem[];
      readonly sources: SourceMap;
      /** With `interpolate: false`: the merged text, which is printed instead of the project. */
      readonly merged?: PrintedMap;
    }
  | {
      readonly ok: false;
      readonly problems: readonly ComposeProblem[];
      readonly warnings: readonly ComposeProblem[];
    };

/** Loads a stack. See the module comment. */
export function loadCompose(options: LoadOptions): LoadResult {
  const problems = new Problems();
  const session = new Session(options.fs, problems, options.interpolate !== false, options.remote);
  const loaded = load(session, options);
  const { warnings } = problems;
  if (loaded === undefined || problems.hasErrors)
    return { ok: false, problems: problems.errors, warnings };
  return { ok: true, ...loaded, warnings };
}

/** What the files ask for by name, and the project's name, without loading them; best effort where they are wrong. */
export function declaredParameters(
  options: Omit<LoadOptions, "profiles" | "interpolate">,
): DeclaredParameters & { readonly name: string } {
  const session = new Session(options.fs, new Problems(), true);
  const directory = options.projectDirectory ?? parentPath(options.files[0] ?? "/");
  const variables = environmentOf(session, options, directory);
  const parsed = parseAll(session, options, directory, variables);
  const declared = readDeclarations(session, parsed, variables);
  const environment = withParameters(variables, declared, valuesOf(options, declared));
  const documents = parsed.flatMap((file) => file.documents);
  const given = options.projectName;
  return {
    ...declared,
    name: projectNameOf(session, documents, { given, environment, directory }),
  };
}

interface Loaded {
  readonly project: ComposeProject;
  readonly sources: SourceMap;
  readonly merged?: PrintedMap;
}

function load(session: Session, options: LoadOptions): Loaded | undefined {
  const [first] = options.files;
  if (first === undefined) return session.problems.fileError("", "no stack file is given");
  const directory = options.projectDirectory ?? parentPath(first);
  const variables = environmentOf(session, options, directory);
  const parsed = parseAll(session, options, directory, variables);
  if (parsed.every((file) => file.documents.length === 0)) {
    return session.problems.hasErrors
      ? undefined
      : session.problems.fileError(first, "the file is empty");
  }
  const documents = parsed.flatMap((file) => file.documents);
  const declared = readDeclarations(session, parsed, variables);
  const given = withParameters(variables, declared, valuesOf(options, declared));
  const name = projectNameOf(session, documents, {
    given: options.projectName,
    environment: given,
    directory,
  });
  const environment: Environment = new Map([...given, ["COMPOSE_PROJECT_NAME", name]]);
  const placed = parsed.map((file) => ({ ...file, context: { ...file.context, environment } }));
  const place = { name, directory, environment };
  const tree = mergeGroup(session, placed, [], (below) => {
    projectWords.read(below, "", readingOf(session, options, below, place));
  });
  return readProject(session, options, tree, place);
}

function valuesOf(
  { parameters = {} }: Pick<LoadOptions, "parameters">,
  declared: DeclaredParameters,
): ParameterValues {
  return typeof parameters === "function" ? parameters(declared) : parameters;
}

function parseAll(
  session: Session,
  options: Pick<LoadOptions, "files">,
  baseDirectory: string,
  environment: Environment,
): readonly ParsedFile[] {
  return options.files.map((file) => {
    const context = { file, baseDirectory, environment };
    return { context, documents: parseFile(session, context) };
  });
}

interface Place {
  readonly name: string;
  readonly directory: string;
  readonly environment: Environment;
}

function readProject(
  session: Session,
  options: LoadOptions,
  tree: MapTree,
  place: Place,
): Loaded | undefined {
  const { problems } = session;
  const words = projectWords.read(tree, "", readingOf(session, options, tree, place));
  if (words === undefined) return undefined;
  if (Object.keys(words.services ?? {}).length > SERVICES_MAX) {
    return problems.error(tree, "services", `are more than ${SERVICES_MAX}`);
  }
  const sources = new TreeSourceMap(tree);
  const profiles = activeProfiles(options.profiles, place.environment);
  const complete = options.normalize === false ? withVariableValues : normalize;
  const named = options.services ?? [];
  const how = { place, profiles, sources, named, readEnvFiles: options.readEnvFiles !== false };
  const project = projectOf(session, complete(words, place), how);
  const names = Object.keys(words.services ?? {});
  // What is named takes part only after the whole was found right, as in the reference.
  const whole = named.length === 0 ? project : withoutInactive(project, profiles);
  if (options.checkConsistency !== false) checkProject(whole, names, sources, problems);
  warnUnhonoured(tree, problems);
  const selected = selectServices(project, named, names, { sources, problems });
  if (session.interpolate) return { project: selected, sources };
  return { project: selected, sources, merged: mergedForm(tree, mergedPlace(options, place)) };
}

function withoutInactive(project: ComposeProject, profiles: ReadonlySet<string>): ComposeProject {
  const active = Object.entries(project.services).filter(([, one]) => isActive(one, profiles));
  const services = Object.fromEntries(active);
  const inactive = Object.keys(project.services).filter((name) => !Object.hasOwn(services, name));
  return { ...project, services, disabledServices: [...project.disabledServices, ...inactive] };
}

function mergedPlace(options: LoadOptions, { name, directory }: Place): MergedPlace {
  return {
    name,
    directory,
    // The caller's variables are left out, here as in the reference.
    environment: new Map([["COMPOSE_PROJECT_NAME", name]]),
    home: options.environment["HOME"],
    resolvePaths: options.resolvePaths !== false,
    normalize: options.normalize !== false,
  };
}

function readingOf(session: Session, options: LoadOptions, tree: Tree, place: Place): Reading {
  const { problems } = session;
  return {
    problems,
    projectDirectory: place.directory,
    resolvePaths: options.resolvePaths !== false,
    home: options.environment["HOME"],
    values: new Budget(VALUES_MAX, () =>
      problems.error(tree, "", `says more than ${VALUES_MAX} values`),
    ),
    ports: new Budget(EXPANDED_PORTS_MAX, () =>
      problems.error(tree, "", `its ranges stand for more than ${EXPANDED_PORTS_MAX} ports`),
    ),
    lenient: !session.interpolate,
  };
}

function projectOf(
  session: Session,
  words: ProjectWords,
  how: {
    readonly place: Place;
    readonly profiles: ReadonlySet<string>;
    readonly sources: TreeSourceMap;
    /** Services that take part whatever their profiles. */
    readonly named: readonly string[];
    readonly readEnvFiles: boolean;
  },
): ComposeProject {
  const { place, profiles, sources, named, readEnvFiles } = how;
  const all = Object.entries(words.services ?? {});
  const takesPart = ([name, service]: readonly [string, ComposeService]) =>
    named.includes(name) || isActive(service, profiles);
  const active = all.filter(takesPart);
  const { environment } = place;
  const services = mapValues(Object.fromEntries(active), (service, name) =>
    !session.interpolate
      ? service
      : withFileValues(session, service, `services.${name}`, {
          environment,
          sources,
          readEnvFiles,
        }),
  );
  return {
    name: place.name,
    directory: place.directory,
    services,
    disabledServices: all.filter((each) => !takesPart(each)).map(([name]) => name),
    profiles: profilesOf(words.services ?? {}),
    networks: words.networks ?? {},
    volumes: words.volumes ?? {},
    configs: words.configs ?? {},
    secrets: words.secrets ?? {},
    models: words.models ?? {},
    ...(words.xBerth === undefined ? {} : { xBerth: words.xBerth }),
    ...(words.extensions === undefined ? {} : { extensions: words.extensions }),
  };
}
