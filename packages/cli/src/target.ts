/** Words like `shop`, `shop/web` and `shop/web-1`: a stack, a service, a copy. */

import { ProtocolError, type StackScope } from "@berth/protocol";
import type { CommandInput } from "./command.ts";

export interface Target extends StackScope {
  readonly service?: string;
  /** Ordinal of a copy. */
  readonly slot?: number;
}

/** Parses `STACK[/SERVICE[-SLOT]]`; the slot only with `copies`, since names may end in `-1`, too. */
export function targetOf(
  input: CommandInput,
  word: string,
  options: { readonly copies?: boolean } = {},
): Target {
  const [stack = "", rest, ...more] = word.split("/");
  if (stack === "" || more.length > 0 || rest === "") {
    throw new ProtocolError("invalid_request", `"${word}" is not STACK or STACK/SERVICE`, { word });
  }
  const scope = { ...input.scope(), stack };
  if (rest === undefined) return scope;
  const copy = options.copies === true ? /^(.+)-(\d+)$/.exec(rest) : null;
  if (copy === null) return { ...scope, service: rest };
  return { ...scope, service: copy[1] ?? rest, slot: Number(copy[2]) };
}

/** A target that names a service. */
export function serviceOf(
  input: CommandInput,
  word: string,
): StackScope & { readonly service: string } {
  const { service, ...scope } = targetOf(input, word);
  if (service === undefined) {
    throw new ProtocolError("invalid_request", `"${word}" names a stack; expected STACK/SERVICE`);
  }
  return { ...scope, service };
}
