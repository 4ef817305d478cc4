/**
 * Where `berth config` differs from the reference on purpose. Rows of docs/reference/compose.md; `differences.test.ts` has a
 * case for each, and nothing else may differ.
 */

import { ALIAS_NODES_MAX } from "../limits.ts";

export interface Difference {
  /** A name for tests. */
  readonly id: string;
  /** What is so here, as a person would say it. */
  readonly what: string;
  /** What the reference does instead. */
  readonly why: string;
}

function row(id: string, what: string, why: string): Difference {
  return { id, what, why };
}

/** The table may only shrink. */
export const DIFFERENCES: readonly Difference[] = [
  row(
    `drive`,
    `\`v:/data\` is the volume \`v\``,
    `the reference takes a single letter for a drive of Windows, and mounts an anonymous volume at \`v:/data\``,
  ),
  row(
    `ssh`,
    `keys of \`build.ssh\` print as \`id=path\``,
    `the reference prints JSON that no reader takes`,
  ),
  row(
    `line-breaks`,
    `line breaks at the start of a text are kept in YAML`,
    `the reference loses the first one, so that its output loads to another text`,
  ),
  row(
    `newer-keys`,
    `keys of the specification that are newer than 2.26 load and print`,
    `the reference refuses them`,
  ),
  row(
    `no-limit`,
    `"no limit" may be \`-1\` in quotes`,
    `the reference prints it so and refuses to read it back`,
  ),
  row(
    `unlikely-values`,
    `the type of a mount is a word of the specification, a port not 0, a number of copies or processors not below 0, a ratio from 0 to 1, a mode at most 7777, a hook has a command`,
    `the reference takes any text and any number, and the engine refuses it later`,
  ),
  row(
    `extends-of-nothing`,
    `a service that extends an empty one has no \`extends\` left`,
    `the reference forgets to take the key away`,
  ),
  row(
    `nothing`,
    `\`pid:\` and the like without a value say nothing`,
    `the reference ends with a panic`,
  ),
  row(
    `address-list`,
    `a list of addresses in \`environment\` means the same in every file`,
    `the reference takes it only where files are merged`,
  ),
  row(
    `override-nothing`,
    `\`!override null\` is nothing`,
    `the reference takes the word for a text, and runs the command \`null\``,
  ),
  row(
    `unlike-forms`,
    `a text laid over a table or a list of names, or a mapping over a list, is refused`,
    `the reference drops it, or makes a line of it`,
  ),
  row(
    `separators`,
    `U+2028 and U+2029 are characters like others, as YAML 1.2 says`,
    `the reference ends a line there, and refuses what follows`,
  ),
  row(
    `bare-dependency`,
    `a dependency with nothing behind its name is the name alone`,
    `the reference refuses it`,
  ),
  row(
    `exponents`,
    `sizes with an exponent (\`1e9\`) are sizes, a date for a command is refused`,
    `the reference drops both without a word`,
  ),
  row(`lines-in-defaults`, `a default over several lines is read`, `the reference refuses it`),
  row(
    `secret`,
    `\`--no-interpolate\` prints no secret`,
    `the reference prints the value of a secret that an included project takes from a variable`,
  ),
  row(
    `bare-name-at-the-end`,
    `a bare name at the end of an env file needs no line break to be taken from the environment`,
    `the reference gives it as the value of a variable without a name`,
  ),
  row(
    `empty-text`,
    `an empty text for a table (\`environment: ""\`) in a later file adds nothing`,
    `the reference adds an entry without a name, which the engine refuses`,
  ),
  row(
    `missing-directory`,
    `a \`project_directory\` of an included file is what is written, also before it is there`,
    `the reference takes the folder above it instead`,
  ),
  row(
    `json-escapes`,
    `JSON has its own escapes: \`\\/\` and pairs of surrogates`,
    `the reference reads YAML's only`,
  ),
  row(
    `aliases`,
    `aliases may not repeat more than ${ALIAS_NODES_MAX} values`,
    `the reference takes all memory`,
  ),
];
