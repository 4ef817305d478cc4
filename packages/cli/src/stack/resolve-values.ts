/**
 * From what the file declares and a person gives to a value for every parameter: the server adds what it keeps and
 * makes up what it must, a terminal is asked for the rest. Nothing is kept before the whole stack has loaded.
 */

import { type DeclaredParameters, isSecret, type ParameterDeclaration } from "@berth/compose";
import {
  type ApiClient,
  type ParameterGeneration,
  type ParameterWish,
  ProtocolError,
  type ResolvedParameters,
  type StackScope,
} from "@berth/protocol";
import type { CommandInput } from "../command.ts";
import { ask as askPerson } from "../output/ask.ts";
import { expectedOf, problemOf } from "./given-values.ts";

/** Characters of a password that says no length: 190 bits. */
const PASSWORD_LENGTH = 32;
const HEX_LENGTH = 64;
const BASE64_BYTES = 32;
const SECOND_MS = 1000;

/** What is wished of the server. */
export function wishesOf(
  { declarations }: DeclaredParameters,
  given: Readonly<Record<string, string>>,
): Readonly<Record<string, ParameterWish>> {
  return Object.fromEntries(
    Object.entries(declarations).map(([name, declaration]): [string, ParameterWish] => {
      const generate = generationOf(declaration);
      const fallback = declaration.default ?? (declaration.required === false ? "" : undefined);
      const value = given[name];
      return [
        name,
        {
          ...(value === undefined ? {} : { given: value }),
          ...(generate === undefined ? {} : { generate }),
          ...(fallback === undefined || generate !== undefined ? {} : { fallback }),
          secret: isSecret(declaration),
        },
      ];
    }),
  );
}

const LENGTHS = { password: PASSWORD_LENGTH, hex: HEX_LENGTH, base64: BASE64_BYTES } as const;

function generationOf(declaration: ParameterDeclaration): ParameterGeneration | undefined {
  const { generate, length, signedWith = "", claims = {}, lifetimeMs } = declaration;
  if (generate === undefined) return undefined;
  if (generate === "uuid") return { kind: generate };
  if (generate !== "jwt") return { kind: generate, length: length ?? LENGTHS[generate] };
  const lifetimeSeconds =
    lifetimeMs === undefined
      ? {}
      : { lifetimeSeconds: Math.max(1, Math.round(lifetimeMs / SECOND_MS)) };
  return { kind: generate, signedWith, claims, ...lifetimeSeconds };
}

/** How to ask the server. */
export interface Asking {
  readonly api: ApiClient;
  readonly scope: StackScope;
  readonly declared: DeclaredParameters;
  readonly dryRun: boolean;
}

/**
 * A value for every parameter.
 *
 * @throws ProtocolError `invalid_request` that names all that nobody has a value for.
 */
export async function resolveValues(
  input: CommandInput,
  { api, scope, declared, dryRun }: Asking,
  given: Readonly<Record<string, string>>,
): Promise<{
  readonly resolved: ResolvedParameters;
  readonly given: Readonly<Record<string, string>>;
}> {
  const ask = (values: Readonly<Record<string, string>>) =>
    api.call("resolveParameters", {
      params: { ...scope },
      body: { wishes: wishesOf(declared, values), dryRun },
      signal: input.signal,
    });
  const first = await ask(given);
  if (first.missing.length === 0) return { resolved: first, given };
  if (!input.output.interactive || !process.stdin.isTTY)
    throw missingError(first.missing, declared);
  const all = { ...given, ...(await askAll(input, first.missing, declared)) };
  return { resolved: await ask(all), given: all };
}

function missingError(missing: readonly string[], { declarations, places }: DeclaredParameters) {
  const lines = missing.map((name) => {
    const place = places[name];
    const where = place === undefined ? "" : `${place.file}:${place.line}:${place.column}  `;
    const about = declarations[name]?.description;
    const expected = expectedOf(declarations[name] ?? {});
    return `${where}x-berth.parameters.${name}   has no value; give it with --set ${name}=VALUE${expected}${about === undefined ? "" : `: ${about}`}`;
  });
  return new ProtocolError("invalid_request", lines.join("\n"), { missing });
}

async function askAll(
  input: CommandInput,
  names: readonly string[],
  declared: DeclaredParameters,
): Promise<Readonly<Record<string, string>>> {
  const answers: Record<string, string> = {};
  for (const name of names) answers[name] = await askOne(input, name, declared);
  return answers;
}

/** Asks until the answer is a value of the parameter. */
async function askOne(
  input: CommandInput,
  name: string,
  declared: DeclaredParameters,
): Promise<string> {
  const declaration = declared.declarations[name] ?? {};
  const about = declaration.description === undefined ? "" : ` (${declaration.description})`;
  const question = `${name}${about}${expectedOf(declaration)}: `;
  while (true) {
    const hidden = isSecret(declaration);
    const typed = await askPerson(question, { signal: input.signal, hidden });
    const answer = hidden ? typed : typed.trim();
    const problem = problemOf(name, answer, declared);
    if (problem === undefined) return answer;
    input.output.note(problem);
  }
}

/** A line for each parameter of a plan: what would become of it, never its value. */
export function parameterLines({ values }: ResolvedParameters): string[] {
  return Object.entries(values).map(([name, { source, changed }]) => {
    const what =
      source === "given"
        ? changed
          ? "given with this command, would be kept"
          : "as it was"
        : source === "generated"
          ? "would be made up and kept"
          : source === "kept"
            ? "as it was"
            : "the file's default";
    return `  parameter ${name}   ${what}`;
  });
}

/** Shorter values would blacken half of a text. */
const MASKED_CHARS_MIN = 4;

/** `text` without the values that are secret. */
export function masked(
  text: string,
  { values }: ResolvedParameters,
  { declarations }: DeclaredParameters,
): string {
  let result = text;
  for (const [name, { value }] of Object.entries(values)) {
    const secret = declarations[name] !== undefined && isSecret(declarations[name]);
    if (!secret || value.length < MASKED_CHARS_MIN) continue;
    result = result
      .replaceAll(value, `(${name})`)
      .replaceAll(JSON.stringify(value).slice(1, -1), `(${name})`);
  }
  return result;
}
