/** The options of `berth sim`, checked. */

import { resolve } from "node:path";
import { ProtocolError } from "@berth/protocol";
import { type CommandInput, textOption } from "../command.ts";

export function requiredFile(input: CommandInput, name: string): string {
  const path = optionalFile(input, name);
  if (path !== undefined) return path;
  throw new ProtocolError("invalid_request", `--${name} FILE is missing`);
}

/** `-` is standard input. */
export function optionalFile(input: CommandInput, name: string): string | undefined {
  const path = textOption(input, name);
  if (path === undefined || path === "-") return path;
  return resolve(input.workingDirectory, path);
}

export function choice<const T extends string>(
  input: CommandInput,
  name: string,
  allowed: readonly T[],
  fallback: T,
): T {
  const text = textOption(input, name) ?? fallback;
  const found = allowed.find((each) => each === text);
  if (found !== undefined) return found;
  throw new ProtocolError("invalid_request", `--${name} ${text}: there are ${allowed.join(", ")}`);
}

export function wholeOption(
  input: CommandInput,
  option: { readonly flag: string; readonly key: string },
  fallback: number,
): number {
  const text = textOption(input, option.key);
  if (text === undefined) return fallback;
  const value = Number(text);
  if (text.trim() !== "" && Number.isSafeInteger(value) && value >= 0) return value;
  const message = `${option.flag} ${text}: expected a whole number of at least 0`;
  throw new ProtocolError("invalid_request", message);
}
