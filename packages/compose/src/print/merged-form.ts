/**
 * The form that `config --no-interpolate` prints: the merged text of the files, not what it means. Values stay as they
 * are written (`10s`, `50M`, `${TAG}`), short forms of some keys become long ones, every service is there.
 *
 * What is changed, and what is not, follows the reference: docker compose 2.26. Pure, linear in the tree.
 */

import type { Printed } from "../codec/codec.ts";
import { readExtension } from "../codec/extension.ts";
import { cleanPath, expandHome, isWindowsPath, resolvePath } from "../path.ts";
import { isHostPath, parseMountSpec } from "../spec/mount-spec.ts";
import { isRemoteContext, unresolvedPath } from "../spec/path-codecs.ts";
import { parsePortSpec } from "../spec/port-spec.ts";
import type { MapTree, Tree } from "../tree/tree.ts";
import { withImplied } from "./merged-defaults.ts";
import { withoutRepeated } from "./merged-lists.ts";
import type { MergedPlace, MutableForm } from "./merged-place.ts";

/** The merged form of a whole model. */
export function mergedForm(tree: MapTree, place: MergedPlace): MutableForm {
  const form = new Map<string, Printed>();
  for (const [key, { value }] of tree.entries) {
    if (key !== "version") form.set(key, walk(value, key, place));
  }
  withEnvironment(form, place);
  return place.normalize ? withImplied(form, place) : form;
}

type Form = (tree: Tree, pattern: string, place: MergedPlace) => Printed;

/** A star stands for a resource's name and for an item of a list. */
const FORMS: Readonly<Record<string, Form>> = {
  "services.*.build": build,
  "services.*.build.additional_contexts": contexts,
  "services.*.build.context": contextPath,
  "services.*.build.secrets.*": fileUse,
  "services.*.build.ssh": keys,
  "services.*.configs.*": fileUse,
  "services.*.depends_on": dependencies,
  "services.*.deploy.resources.reservations.devices.*": deviceRequest,
  "services.*.develop.watch.*.path": hostPath,
  "services.*.devices.*": device,
  "services.*.dns": textList,
  "services.*.env_file": envFiles,
  "services.*.label_file": hostPaths,
  "services.*.gpus.*": deviceRequest,
  "services.*.networks": keysOfList,
  "services.*.ports": ports,
  "services.*.secrets.*": secretUse,
  "services.*.volumes.*": mount,
  "configs.*": external,
  "configs.*.file": hostPath,
  "networks.*": external,
  "secrets.*": external,
  "secrets.*.file": hostPath,
  "volumes.*": volume,
};

function walk(tree: Tree, pattern: string, place: MergedPlace): Printed {
  const form = Object.hasOwn(FORMS, pattern) ? FORMS[pattern] : undefined;
  const printed = form === undefined ? children(tree, pattern, place) : form(tree, pattern, place);
  return Array.isArray(printed) ? withoutRepeated(printed, pattern) : printed;
}

function children(tree: Tree, pattern: string, place: MergedPlace): Printed {
  if (tree.kind === "scalar") return readExtension(tree);
  if (tree.kind === "seq") return tree.items.map((item) => walk(item, `${pattern}.*`, place));
  if (tree.isLines === true) return lines(tree);
  return mapOf(tree, pattern, place);
}

function mapOf(tree: MapTree, pattern: string, place: MergedPlace): MutableForm {
  // Below the first level stand names.
  const below = (key: string) => `${pattern}.${pattern.includes(".") ? key : "*"}`;
  return new Map(
    [...tree.entries].map(([key, { value }]) => [key, walk(value, below(key), place)]),
  );
}

/** A table that was merged, as the list of lines that the reference makes of it. */
function lines(tree: MapTree): Printed {
  return [...tree.entries].map(([key, { value }]) =>
    value.kind === "scalar" && value.type !== "null" ? `${key}=${value.text}` : key,
  );
}

function textOf(tree: Tree): string | undefined {
  return tree.kind === "scalar" && tree.type === "string" ? tree.text : undefined;
}

function hostPath(tree: Tree, _pattern: string, place: MergedPlace): Printed {
  const written = textOf(tree);
  return written === undefined ? readExtension(tree) : absolute(written, tree, place);
}

function hostPaths(tree: Tree, pattern: string, place: MergedPlace): Printed {
  const items = tree.kind === "seq" ? tree.items : [tree];
  return items.map((item) => hostPath(item, pattern, place));
}

/** Below the folder that the file's paths belong to; other forms of paths stay. */
function absolute(written: string, origin: Tree, place: MergedPlace): string {
  const { home, resolvePaths, directory } = place;
  if (written === "") return written;
  if (!resolvePaths) return unresolvedPath(written, origin, directory, home);
  const path = expandHome(written, home);
  const isElsewhere = path.startsWith("/") || isWindowsPath(path);
  return isElsewhere ? path : resolvePath(origin.source.baseDirectory, path);
}

function build(tree: Tree, pattern: string, place: MergedPlace): Printed {
  const written = textOf(tree);
  if (written !== undefined) return new Map([["context", context(written, tree, place)]]);
  if (tree.kind !== "map") return readExtension(tree);
  const form = mapOf(tree, pattern, place);
  if (!form.has("context")) form.set("context", context(".", tree, place));
  return form;
}

function contextPath(tree: Tree, _pattern: string, place: MergedPlace): Printed {
  const written = textOf(tree);
  return written === undefined ? readExtension(tree) : context(written, tree, place);
}

function context(written: string, origin: Tree, place: MergedPlace): string {
  return isRemoteContext(written) ? written : absolute(written, origin, place);
}

function contexts(tree: Tree, _pattern: string, place: MergedPlace): Printed {
  const values = keyValues(tree);
  if (values === undefined) return readExtension(tree);
  return new Map(
    [...values].map(([key, value]) => [
      key,
      typeof value === "string" ? context(value, tree, place) : value,
    ]),
  );
}

/** The keys of a build's SSH agent; a name alone is one of the caller's. */
function keys(tree: Tree, _pattern: string, place: MergedPlace): Printed {
  const items = tree.kind === "seq" ? tree.items : [];
  const pairs =
    tree.kind === "map"
      ? [...tree.entries].map(([id, { value }]) => [id, textOf(value)] as const)
      : items.map((item) => splitAtEquals(textOf(item) ?? ""));
  return new Map(
    pairs.map(([id, path]) => [id, path === undefined ? null : absolute(path, tree, place)]),
  );
}

function splitAtEquals(text: string): readonly [string, string | undefined] {
  const at = text.indexOf("=");
  return at < 0 ? [text, undefined] : [text.slice(0, at), text.slice(at + 1)];
}

/** A list of `key=value` as a map; `undefined` where an item is none. */
function keyValues(tree: Tree): MutableForm | undefined {
  if (tree.kind === "map") {
    return new Map([...tree.entries].map(([key, { value }]) => [key, readExtension(value)]));
  }
  if (tree.kind !== "seq") return undefined;
  const values = new Map<string, Printed>();
  for (const item of tree.items) {
    const [key, value] = splitAtEquals(textOf(item) ?? "");
    if (value === undefined) return undefined;
    values.set(key, value);
  }
  return values;
}

function fileUse(tree: Tree): Printed {
  const written = textOf(tree);
  return written === undefined ? readExtension(tree) : new Map([["source", written]]);
}

function secretUse(tree: Tree): Printed {
  const use = fileUse(tree);
  if (use instanceof Map && !use.has("target")) {
    return new Map([...use, ["target", `/run/secrets/${String(use.get("source"))}`]]);
  }
  return use;
}

function dependencies(tree: Tree): Printed {
  if (tree.kind === "seq") {
    return new Map(
      tree.items.map((item) => [
        textOf(item) ?? "",
        new Map<string, Printed>([
          ["condition", "service_started"],
          ["required", true],
        ]),
      ]),
    );
  }
  const form = readExtension(tree);
  if (!(form instanceof Map)) return form;
  return new Map(
    [...form].map(([name, dependency]: [string, Printed]) => {
      if (!(dependency instanceof Map)) return [name, dependency];
      const whole = new Map<string, Printed>(dependency);
      if (!whole.has("condition")) whole.set("condition", "service_started");
      if (!whole.has("required")) whole.set("required", true);
      return [name, whole];
    }),
  );
}

function envFiles(tree: Tree, _pattern: string, place: MergedPlace): Printed {
  const items = tree.kind === "seq" ? tree.items : [tree];
  return items.map((item): Printed => {
    const written = textOf(item);
    if (written !== undefined) {
      return new Map<string, Printed>([
        ["path", absolute(written, item, place)],
        ["required", true],
      ]);
    }
    const form = readExtension(item);
    if (!(form instanceof Map)) return form;
    const whole = new Map<string, Printed>(form);
    if (!whole.has("required")) whole.set("required", true);
    const path = whole.get("path");
    if (typeof path === "string") whole.set("path", absolute(path, item, place));
    return whole;
  });
}

function keysOfList(tree: Tree): Printed {
  if (tree.kind !== "seq") return readExtension(tree);
  return new Map(tree.items.map((item) => [textOf(item) ?? "", null]));
}

function textList(tree: Tree): Printed {
  const items = tree.kind === "seq" ? tree.items : [tree];
  return items.map(readExtension).filter((item) => item !== null && item !== "");
}

function device(tree: Tree): Printed {
  const written = textOf(tree);
  if (written === undefined) return readExtension(tree);
  const [source = "", target = source, permissions = "rwm"] = written.split(":");
  return new Map([
    ["source", source],
    ["target", target],
    ["permissions", permissions],
  ]);
}

function deviceRequest(tree: Tree): Printed {
  const form = readExtension(tree);
  if (!(form instanceof Map) || form.has("count") || form.has("device_ids")) return form;
  return new Map<string, Printed>([...form, ["count", "all"]]);
}

/** Where one port cannot be read, as it has a variable, all stay as they are written. */
function ports(tree: Tree): Printed {
  if (tree.kind !== "seq") return readExtension(tree);
  const long = tree.items.map(portForms);
  const forms = long.includes(undefined)
    ? tree.items.map(readExtension)
    : long.flatMap((each) => each ?? []);
  return forms.map((form): Printed => {
    if (!(form instanceof Map)) return form;
    const whole = new Map<string, Printed>(form);
    if (!whole.has("protocol")) whole.set("protocol", "tcp");
    if (!whole.has("mode")) whole.set("mode", "ingress");
    return whole;
  });
}

function portForms(tree: Tree): readonly Printed[] | undefined {
  if (tree.kind !== "scalar") return [readExtension(tree)];
  const parsed = parsePortSpec(tree.text);
  if (typeof parsed === "string") return undefined;
  return parsed.map(({ target, published, protocol, hostIp, mode }) => {
    const form = new Map<string, Printed>([
      ["mode", mode ?? "ingress"],
      ["target", target],
      ["protocol", protocol ?? "tcp"],
    ]);
    if (published !== undefined) form.set("published", published);
    if (hostIp !== undefined) form.set("host_ip", hostIp);
    return form;
  });
}

function mount(tree: Tree, _pattern: string, place: MergedPlace): Printed {
  const written = textOf(tree);
  const parsed = written === undefined ? undefined : parseMountSpec(written);
  if (parsed === undefined) return longMount(tree, place);
  if (typeof parsed === "string") return written ?? "";
  const { source, target, options } = parsed;
  const isBind = isHostPath(source);
  const form = new Map<string, Printed>([
    ["type", isBind ? "bind" : "volume"],
    ["target", target === "" ? "" : cleanPath(target)],
  ]);
  if (source !== "") form.set("source", isBind ? absolute(source, tree, place) : source);
  if (options.includes("ro")) form.set("read_only", true);
  const bind = new Map<string, Printed>();
  const propagation = options.findLast((option) => PROPAGATIONS.has(option));
  const label = options.findLast((option) => option === "z" || option === "Z");
  if (propagation !== undefined) bind.set("propagation", propagation);
  if (label !== undefined) bind.set("selinux", label);
  if (isBind) bind.set("create_host_path", true);
  if (bind.size > 0) form.set("bind", bind);
  const volume = new Map<string, Printed>();
  if (options.includes("nocopy")) volume.set("nocopy", true);
  // The reference has a short cut for texts this short, and forgets the options there.
  if ((!isBind && (written?.length ?? 0) > 2) || volume.size > 0) form.set("volume", volume);
  return form;
}

const PROPAGATIONS: ReadonlySet<string> = new Set([
  "rprivate",
  "private",
  "rshared",
  "shared",
  "rslave",
  "slave",
]);

function longMount(tree: Tree, place: MergedPlace): Printed {
  const form = readExtension(tree);
  if (!(form instanceof Map)) return form;
  const whole = new Map<string, Printed>(form);
  const source = whole.get("source");
  if (whole.get("type") === "bind" && typeof source === "string") {
    whole.set("source", absolute(source, tree, place));
  }
  const target = whole.get("target");
  if (place.normalize && typeof target === "string") whole.set("target", cleanPath(target));
  return whole;
}

/** `external: { name: x }` of old files is a name and a word. */
function external(tree: Tree, pattern: string, place: MergedPlace): Printed {
  const form = children(tree, pattern, place);
  if (!(form instanceof Map)) return form;
  const named = form.get("external");
  if (!(named instanceof Map)) return form;
  const whole = new Map<string, Printed>(form);
  whole.set("external", true);
  const name = named.get("name");
  if (name !== undefined && !whole.has("name")) whole.set("name", name);
  return whole;
}

function volume(tree: Tree, pattern: string, place: MergedPlace): Printed {
  const form = external(tree, pattern, place);
  const options = form instanceof Map ? form.get("driver_opts") : undefined;
  if (!(form instanceof Map) || !(options instanceof Map)) return form;
  const device = options.get("device");
  const isBind = form.get("driver") === "local" && options.get("o") === "bind";
  if (!isBind || typeof device !== "string") return form;
  const opened = new Map<string, Printed>([...options, ["device", absolute(device, tree, place)]]);
  return new Map<string, Printed>([...form, ["driver_opts", opened]]);
}

/** Variables that services name without a value, and contents that configs take from one. */
function withEnvironment(form: MutableForm, { environment }: MergedPlace): void {
  const services = form.get("services");
  for (const [, service] of services instanceof Map ? services : []) {
    const list: Printed = service instanceof Map ? service.get("environment") : undefined;
    if (!Array.isArray(list)) continue;
    service.set(
      "environment",
      list.map((item: Printed) => {
        const value = typeof item === "string" ? environment.get(item) : undefined;
        return value === undefined ? item : `${item}=${value}`;
      }),
    );
  }
  const configs = form.get("configs");
  for (const [, config] of configs instanceof Map ? configs : []) {
    const name: Printed = config instanceof Map ? config.get("environment") : undefined;
    const value = typeof name === "string" ? environment.get(name) : undefined;
    if (value !== undefined) config.set("content", value);
  }
}
