/** Items of merged lists that mean the same thing: the later one takes the place of the earlier. */

import type { Printed } from "../codec/codec.ts";

/** What two items that mean the same have in common. */
type Identity = (item: Printed) => string | undefined;

const IDENTITIES: Readonly<Record<string, Identity>> = {
  "networks.*.labels": keyOf,
  "services.*.annotations": keyOf,
  "services.*.build.additional_contexts": keyOf,
  "services.*.build.args": keyOf,
  "services.*.build.labels": keyOf,
  "services.*.build.tags": keyOf,
  "services.*.cap_add": keyOf,
  "services.*.cap_drop": keyOf,
  "services.*.configs": (item) => mountPoint(item, ""),
  "services.*.deploy.labels": keyOf,
  "services.*.devices": (item) => fieldOf(item, "target"),
  "services.*.dns": keyOf,
  "services.*.dns_opt": keyOf,
  "services.*.dns_search": keyOf,
  "services.*.env_file": (item) => fieldOf(item, "path"),
  "services.*.environment": keyOf,
  "services.*.expose": textOf,
  "services.*.labels": keyOf,
  "services.*.links": keyOf,
  "services.*.ports": portOf,
  "services.*.profiles": keyOf,
  "services.*.secrets": (item) => mountPoint(item, "/run/secrets"),
  "services.*.sysctls": keyOf,
  "services.*.tmpfs": keyOf,
  "services.*.volumes": (item) => fieldOf(item, "target"),
};

/** `items` of the list at `pattern` (a star for each name), each meaning once. Linear. */
export function withoutRepeated(items: readonly Printed[], pattern: string): readonly Printed[] {
  const identity = Object.hasOwn(IDENTITIES, pattern) ? IDENTITIES[pattern] : undefined;
  if (identity === undefined) return items;
  const places = new Map<string, number>();
  const kept: Printed[] = [];
  for (const item of items) {
    const known = identity(item);
    const at = known === undefined ? undefined : places.get(known);
    if (at !== undefined) kept[at] = item;
    else {
      if (known !== undefined) places.set(known, kept.length);
      kept.push(item);
    }
  }
  return kept;
}

function textOf(item: Printed): string | undefined {
  if (typeof item === "string") return item;
  if (typeof item === "object" && item !== null && "numberText" in item) return item.numberText;
  return undefined;
}

function keyOf(item: Printed): string | undefined {
  const text = textOf(item);
  return text?.split("=", 1)[0];
}

function fieldOf(item: Printed, name: string): string | undefined {
  const field: Printed | undefined = item instanceof Map ? item.get(name) : item;
  return field === undefined ? undefined : textOf(field);
}

function mountPoint(item: Printed, folder: string): string | undefined {
  return fieldOf(item, "target") ?? `${folder}/${fieldOf(item, "source") ?? ""}`;
}

function portOf(item: Printed): string | undefined {
  if (!(item instanceof Map)) return textOf(item);
  const port: ReadonlyMap<string, Printed> = item;
  const parts = ["host_ip", "published", "target", "protocol"].map((name) => {
    const value = port.get(name) ?? "";
    return typeof value === "number" ? String(value) : (textOf(value) ?? "");
  });
  return [parts[0] || "0.0.0.0", parts[1], parts[2], parts[3] || "tcp"].join(" ");
}
