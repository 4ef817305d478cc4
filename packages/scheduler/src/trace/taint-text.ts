/** Taints and tolerations of a trace: objects, or text as `kubectl` writes it (`key=value:no-schedule`). */

import type { TaintEffect, Toleration } from "../model.ts";
import { Fields, TraceError } from "./fields.ts";

const EFFECTS: readonly TaintEffect[] = ["no-schedule", "no-execute", "prefer-no-schedule"];

/** Reads `{key, value, effect}` or `key=value:effect`; `NoSchedule` and `no-schedule` mean the same. */
export function readTaint(value: unknown, path: string): Toleration {
  if (typeof value === "string") return taintOfText(value, path);
  const fields = new Fields(value, path);
  const key = fields.optionalText("key");
  const taintValue = fields.optionalText("value");
  const effect = fields.optionalText("effect");
  fields.end();
  return toleration({ key, value: taintValue, effect }, path);
}

function taintOfText(text: string, path: string): Toleration {
  const [named = "", effect] = text.split(":");
  const [key = "", value] = named.split("=");
  return toleration({ key: key === "" ? undefined : key, value, effect }, path);
}

function toleration(
  parts: { key: string | undefined; value: string | undefined; effect: string | undefined },
  path: string,
): Toleration {
  const { key, value, effect } = parts;
  return {
    ...(key === undefined ? {} : { key }),
    ...(value === undefined ? {} : { value }),
    ...(effect === undefined ? {} : { effect: effectOf(effect, path) }),
  };
}

function effectOf(text: string, path: string): TaintEffect {
  const plain = text.replaceAll("-", "").toLowerCase();
  const effect = EFFECTS.find((each) => each.replaceAll("-", "") === plain);
  if (effect !== undefined) return effect;
  throw new TraceError(`${path}: no taint effect "${text}"; there are ${EFFECTS.join(", ")}`);
}
