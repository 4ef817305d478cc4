/**
 * Which value each parameter of a deploy has: given, else kept, else made up, else the file's default.
 *
 * Pure: what is kept comes in, what is to be kept goes out. A token is made anew when the parameter that it is
 * signed with has another value than the one it was signed under. Nothing is to be kept while one is missing.
 */

import type { ParameterValue, ParameterWish, ResolvedParameters } from "@berth/protocol";
import { type Chance, generateToken, generateValue, type TokenGeneration } from "./generate.ts";

/** A parameter as it lies in the store, sealed. */
export interface KeptParameter {
  readonly value: string;
  readonly source: "given" | "generated";
  readonly secret: boolean;
  readonly updatedAt: number;
  /** The key that a token was signed with. */
  readonly signedUnder?: string;
}

export interface ResolveInput {
  readonly wishes: Readonly<Record<string, ParameterWish>>;
  readonly kept: ReadonlyMap<string, KeptParameter>;
  readonly chance: Chance;
  readonly now: number;
}

export interface Resolution extends ResolvedParameters {
  /** What is new or different. */
  readonly toKeep: ReadonlyMap<string, KeptParameter>;
}

/** See the module comment. */
export function resolveParameters(input: ResolveInput): Resolution {
  const values = new Map<string, ParameterValue>();
  const toKeep = new Map<string, KeptParameter>();
  const isToken = ([, wish]: readonly [string, ParameterWish]) => wish.generate?.kind === "jwt";
  const wishes = Object.entries(input.wishes);
  // Tokens come last: they are signed with the others.
  for (const [name, wish] of [
    ...wishes.filter((each) => !isToken(each)),
    ...wishes.filter(isToken),
  ]) {
    const one = resolveOne(input, values, { name, wish });
    if (one === undefined) continue;
    values.set(name, one.value);
    if (one.keep !== undefined) toKeep.set(name, one.keep);
  }
  const missing = Object.keys(input.wishes).filter((name) => !values.has(name));
  return {
    values: Object.fromEntries(values),
    missing,
    toKeep: missing.length === 0 ? toKeep : new Map(),
  };
}

interface Resolved {
  readonly value: ParameterValue;
  readonly keep?: KeptParameter;
}

function resolveOne(
  input: ResolveInput,
  values: ReadonlyMap<string, ParameterValue>,
  { name, wish }: { readonly name: string; readonly wish: ParameterWish },
): Resolved | undefined {
  const kept = input.kept.get(name);
  const fresh = { secret: wish.secret, updatedAt: input.now } as const;
  if (wish.given !== undefined) {
    const changed = kept?.value !== wish.given;
    const keep = { ...fresh, value: wish.given, source: "given" } as const;
    const value: ParameterValue = { value: wish.given, source: "given", changed };
    return changed || kept?.secret !== wish.secret ? { value, keep } : { value };
  }
  const token = wish.generate?.kind === "jwt" ? wish.generate : undefined;
  const key = token === undefined ? undefined : values.get(token.signedWith)?.value;
  const isStale = kept?.signedUnder !== undefined && key !== undefined && kept.signedUnder !== key;
  if (kept !== undefined && !isStale) {
    return { value: { value: kept.value, source: "kept", changed: false } };
  }
  const made = token === undefined ? plain(input, wish) : signed(input, token, key);
  if (made !== undefined) {
    const keep: KeptParameter = {
      ...fresh,
      value: made,
      source: "generated",
      ...(key === undefined ? {} : { signedUnder: key }),
    };
    return { value: { value: made, source: "generated", changed: true }, keep };
  }
  if (wish.fallback === undefined) return undefined;
  return { value: { value: wish.fallback, source: "default", changed: false } };
}

function plain({ chance }: ResolveInput, { generate }: ParameterWish): string | undefined {
  if (generate === undefined || generate.kind === "jwt") return undefined;
  return generateValue(generate, chance);
}

function signed(
  { now }: ResolveInput,
  token: TokenGeneration,
  key: string | undefined,
): string | undefined {
  return key === undefined ? undefined : generateToken(token, key, now);
}
