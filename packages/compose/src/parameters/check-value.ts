/** Whether a value is one that its parameter's declaration takes. */

import type { ParameterDeclaration } from "../model/berth-model.ts";

/** What would have been right, where `value` is not; `undefined` where it is. */
export function expectedInstead(
  declaration: ParameterDeclaration,
  value: string,
): string | undefined {
  const { type = "text", choices, pattern, required = true } = declaration;
  if (value === "") return required ? "a value that is not empty" : undefined;
  if (type === "integer" && !/^[-+]?\d+$/.test(value)) return "a whole number";
  if (type === "number" && !/^[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?$/.test(value))
    return "a number";
  if (type === "boolean" && value !== "true" && value !== "false") return "true or false";
  if (choices !== undefined && !choices.includes(value)) return `one of ${choices.join(", ")}`;
  if (pattern !== undefined && !new RegExp(`^(?:${pattern})$`, "u").test(value)) {
    return `text that matches ${pattern}`;
  }
  return undefined;
}

/** Whether a value must not be shown. */
export function isSecret({ secret, generate }: ParameterDeclaration): boolean {
  return secret ?? generate !== undefined;
}
