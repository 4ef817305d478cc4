/**
 * `build` and `develop` of a service, and `ulimits`, which a build has, too.
 */

import { nearestWord } from "@berth/base";
import { type Codec, refuse } from "../codec/codec.ts";
import {
  environmentTable,
  list,
  tableOf,
  texts,
  textTable,
  uniqueTexts,
} from "../codec/collection-codecs.ts";
import { field, record } from "../codec/record-codec.ts";
import { bool, bytes, integer, oneOf, text } from "../codec/scalar-codecs.ts";
import type { Build, BuildContext, Develop, Ulimit, WatchTrigger } from "../model/deploy-model.ts";
import { compareBytes } from "../text/go-number.ts";
import { keyValueMap } from "../tree/key-values.ts";
import { isNull, kindName, mapTree, type Tree, textTree } from "../tree/tree.ts";
import { watchHook } from "./command-codecs.ts";
import { extraHosts } from "./host-codecs.ts";
import { buildSecretReferences } from "./mount-codecs.ts";
import { buildContext, buildContextOf, hostPath, hostPathOf } from "./path-codecs.ts";

const ulimitPair = record<Omit<Ulimit, "single">>({
  soft: field("soft", integer({ min: -1 }), { required: true }),
  hard: field("hard", integer({ min: -1 }), { required: true }),
});

const ulimit: Codec<Ulimit> = {
  read(tree, path, reading) {
    if (tree.kind === "map") return ulimitPair.read(tree, path, reading);
    const value = integer({ min: -1 }).read(tree, path, reading);
    return value === undefined ? undefined : { single: true, soft: value, hard: value };
  },
  print(value, format) {
    if (value.single === true && value.soft !== 0) return value.soft;
    // The reference's JSON leaves zeros out, its YAML does not.
    if (format === "json") return ulimitPair.print(value, format);
    return new Map([
      ["soft", value.soft],
      ["hard", value.hard],
    ]);
  },
  schema: { oneOf: [integer().schema, ulimitPair.schema] },
};

/** setrlimit(2), as the engine names them. */
const LIMIT_NAMES = [
  ..."core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime".split(" "),
  ..."sigpending stack".split(" "),
];

const ulimitTable = tableOf(ulimit);

/** `ulimits`. Names are any to the reference, and the engine refuses what is no limit: they are warned of. */
export const ulimits: typeof ulimitTable = {
  ...ulimitTable,
  read(tree, path, reading) {
    for (const [name, { key }] of tree.kind === "map" ? tree.entries : []) {
      if (LIMIT_NAMES.includes(name)) continue;
      reading.problems.warn(key, `${path}.${name}`, "is no limit, which the engine refuses", {
        expected: "the name of a limit such as nofile",
        suggestion: nearestWord(name.toLowerCase(), LIMIT_NAMES),
      });
    }
    return ulimitTable.read(tree, path, reading);
  },
};

/** Agent sockets and keys: `[default]`, `[id=path]` or a mapping. */
const ssh: Codec<Readonly<Record<string, string>>> = {
  read(tree, path, reading) {
    const table = keyValueMap(tree, "=");
    if (table.kind !== "map") {
      return refuse(reading, tree, path, {
        found: `is ${kindName(tree)}`,
        expected: "a list or a mapping",
      });
    }
    const entries: [string, string][] = [];
    for (const [id, { key, value }] of table.entries) {
      if (isNull(value) && id !== "default") {
        reading.problems.error(key, `${path}.${id}`, "a key other than default needs a path");
      }
      const written = value.kind === "scalar" ? value.text : "";
      entries.push([id, written === "" ? "" : hostPathOf(written, value, reading).path]);
    }
    return Object.fromEntries(entries);
  },
  print(table) {
    const keys = Object.entries(table).map(([id, path]) => (path === "" ? id : `${id}=${path}`));
    return keys.length === 0 ? undefined : keys.sort(compareBytes);
  },
  schema: environmentTable.schema,
};

/** Named contexts: `[name=context]` or a mapping. */
const additionalContexts: Codec<Readonly<Record<string, BuildContext>>> = {
  ...tableOf(buildContext, { list: true }),
  read: (tree, path, reading) => tableOf(buildContext).read(keyValueMap(tree, "="), path, reading),
};

const boolOrText: Codec<string> = {
  read(tree: Tree, path, reading) {
    if (tree.kind === "scalar" && (tree.type === "bool" || tree.type === "string"))
      return tree.text;
    return refuse(reading, tree, path, {
      found: `is ${kindName(tree)}`,
      expected: "text, true or false",
    });
  },
  print: (value) => (value === "" ? undefined : value),
  schema: { type: ["string", "boolean"] },
};

const ownContext: Codec<BuildContext> = {
  ...buildContext,
  print: (value, format) => buildContext.print(value, format) || undefined,
};

const buildWords = record<Build>(
  {
    context: field("context", ownContext),
    dockerfile: field("dockerfile", text),
    dockerfileInline: field("dockerfile_inline", text),
    entitlements: field("entitlements", texts),
    args: field("args", environmentTable),
    provenance: field("provenance", boolOrText),
    sbom: field("sbom", boolOrText),
    ssh: field("ssh", ssh),
    labels: field("labels", textTable),
    cacheFrom: field("cache_from", texts),
    cacheTo: field("cache_to", texts),
    noCache: field("no_cache", bool),
    noCacheFilter: field("no_cache_filter", texts),
    additionalContexts: field("additional_contexts", additionalContexts),
    pull: field("pull", bool),
    extraHosts: field("extra_hosts", extraHosts),
    isolation: field("isolation", text),
    network: field("network", text),
    target: field("target", text),
    secrets: field("secrets", buildSecretReferences),
    shmSizeBytes: field("shm_size", bytes({ whole: true })),
    tags: field("tags", uniqueTexts),
    ulimits: field("ulimits", ulimits),
    platforms: field("platforms", texts),
    privileged: field("privileged", bool),
  },
  {
    expand: (tree, path, reading) => {
      if (isNull(tree)) {
        const expected = "a directory, or a mapping";
        return refuse(reading, tree, path, { found: "is nothing", expected, suggestion: "." });
      }
      const context = text.read(tree, path, reading);
      return context === undefined
        ? undefined
        : mapTree(tree, new Map([["context", { key: tree, value: textTree(tree, context) }]]));
    },
    short: { words: "a directory", schema: { type: "string" } },
  },
);

/** `build`; without a context the directory of the file that says it. */
export const build: Codec<Build> = {
  ...buildWords,
  read(tree, path, reading) {
    const words = buildWords.read(tree, path, reading);
    if (words === undefined || words.context !== undefined) return words;
    return { ...words, context: buildContextOf(".", tree, reading) };
  },
};

const WATCH_ACTIONS = ["rebuild", "sync", "restart", "sync+restart", "sync+exec"] as const;

const watchTrigger = record<WatchTrigger>({
  path: field("path", hostPath, { required: true }),
  action: field("action", oneOf(WATCH_ACTIONS), { required: true }),
  target: field("target", text),
  exec: field("exec", watchHook, { jsonAbsent: new Map([["command", null]]) }),
  ignore: field("ignore", uniqueTexts),
  include: field("include", uniqueTexts),
  initialSync: field("initial_sync", bool),
});

/** `develop`. */
export const develop = record<Develop>({ watch: field("watch", list(watchTrigger)) });
