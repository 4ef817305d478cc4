/**
 * Values of parameters that a person gives with a command: `--set NAME=VALUE`, `--set-file NAME=PATH`, and variables
 * of the environment or an env file that bear the name of a parameter. Checked before anything is asked or sent.
 */

import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { nearestWord } from "@berth/base";
import {
  type DeclaredParameters,
  expectedInstead,
  isSecret,
  type ParameterDeclaration,
} from "@berth/compose";
import { PARAMETER_CHARS_MAX, ProtocolError } from "@berth/protocol";
import { type CommandInput, listOption, type OptionDescription } from "../command.ts";

/** Options of every command that gives values. */
export const SET_OPTIONS: readonly OptionDescription[] = [
  {
    flags: "--set <name=value...>",
    summary: "value of a parameter that the file declares under x-berth.parameters",
  },
  {
    flags: "--set-file <name=path...>",
    summary: "the same, from a file (the last line break is left out)",
  },
];

/**
 * By name; options win over variables.
 *
 * @throws ProtocolError `invalid_request` for what is no parameter, or no value of it.
 */
export function givenValues(
  input: CommandInput,
  declared: DeclaredParameters,
): Readonly<Record<string, string>> {
  const values: Record<string, string> = { ...declared.variables };
  for (const [name, value] of pairsOf(input, "set")) values[known(name, declared)] = value;
  for (const [name, path] of pairsOf(input, "setFile")) {
    values[known(name, declared)] = contentOf(name, resolve(input.workingDirectory, path));
  }
  for (const [name, value] of Object.entries(values)) checkValue(name, value, declared);
  return values;
}

function pairsOf(input: CommandInput, option: "set" | "setFile"): [string, string][] {
  return listOption(input, option).map((pair): [string, string] => {
    const at = pair.indexOf("=");
    if (at > 0) return [pair.slice(0, at), pair.slice(at + 1)];
    const wanted = option === "set" ? "--set NAME=VALUE" : "--set-file NAME=PATH";
    throw new ProtocolError(
      "invalid_request",
      `"${pair}" has no name or no "="; expected ${wanted}`,
    );
  });
}

function known(name: string, { declarations }: DeclaredParameters): string {
  const names = Object.keys(declarations);
  if (names.includes(name)) return name;
  const close = nearestWord(name, names);
  const hint = close === undefined ? "" : `; did you mean ${close}?`;
  const others =
    names.length === 0
      ? "the file declares none under x-berth.parameters, and variables are set before the command: NAME=VALUE berth ..."
      : `it declares ${names.join(", ")}`;
  const message = `${name} is no parameter of the file${hint === "" ? `: ${others}` : hint}`;
  throw new ProtocolError("invalid_request", message, { name });
}

function contentOf(name: string, path: string): string {
  try {
    return readFileSync(path, "utf8").replace(/\r?\n$/, "");
  } catch (error) {
    const reason = error instanceof Error && "code" in error ? String(error.code) : String(error);
    throw new ProtocolError(
      "invalid_request",
      `the value of ${name} cannot be read from ${path}: ${reason}`,
    );
  }
}

/** @throws ProtocolError `invalid_request`, without the value where it is secret. */
export function checkValue(name: string, value: string, declared: DeclaredParameters): void {
  const declaration = declared.declarations[name];
  if (declaration === undefined) return;
  const problem = problemOf(name, value, declared);
  if (problem !== undefined) throw new ProtocolError("invalid_request", problem, { name });
}

/** In words; `undefined` when the value is right. */
export function problemOf(
  name: string,
  value: string,
  { declarations, places }: DeclaredParameters,
): string | undefined {
  const declaration = declarations[name] ?? {};
  const tooLong = value.length > PARAMETER_CHARS_MAX;
  const expected = tooLong
    ? `at most ${PARAMETER_CHARS_MAX} characters`
    : expectedInstead(declaration, value);
  if (expected === undefined) return undefined;
  const shown =
    value === "" ? "empty" : isSecret(declaration) || tooLong ? "not right" : `"${value}"`;
  const place = places[name];
  const where = place === undefined ? "" : ` (declared in ${place.file}:${place.line})`;
  return `the value of ${name} is ${shown}; expected ${expected}${where}`;
}

/** ` [a, b]`, ` [a whole number]`: what a value may be, for a question or a hint. */
export function expectedOf({ choices, type = "text", pattern }: ParameterDeclaration): string {
  if (choices !== undefined) return ` [${choices.join(", ")}]`;
  if (type === "integer") return " [a whole number]";
  if (type === "number") return " [a number]";
  if (type === "boolean") return " [true or false]";
  return pattern === undefined ? "" : ` [text that matches ${pattern}]`;
}
