/**
 * `volumes`, `configs`, `secrets` and `devices` of a service.
 */

import { type Codec, type Reading, refuse } from "../codec/codec.ts";
import { list, textTable } from "../codec/collection-codecs.ts";
import type { Extensions } from "../codec/extension.ts";
import { field, type RecordCodec, record } from "../codec/record-codec.ts";
import { bool, bytes, integer, isUnexpanded, oneOf, text } from "../codec/scalar-codecs.ts";
import type { DeviceMapping } from "../model/service-model.ts";
import type {
  BindOptions,
  FileReference,
  ImageMountOptions,
  ServiceMount,
  TmpfsOptions,
  VolumeOptions,
} from "../model/storage-model.ts";
import { kindName, mapTree, type Tree, textTree } from "../tree/tree.ts";
import { isHostPath, parseMountSpec } from "./mount-spec.ts";
import { containerPath, hostPathOf } from "./path-codecs.ts";

const bindOptions = record<BindOptions>({
  selinux: field("selinux", oneOf(["z", "Z"])),
  propagation: field("propagation", text),
  createHostPath: field("create_host_path", bool),
  recursive: field("recursive", oneOf(["enabled", "disabled", "writable", "readonly"])),
});

const volumeOptions = record<VolumeOptions>({
  labels: field("labels", textTable),
  nocopy: field("nocopy", bool),
  subpath: field("subpath", text),
});

const tmpfsOptions = record<TmpfsOptions>({
  sizeBytes: field("size", bytes({ whole: true })),
  mode: field("mode", integer({ min: 0, max: 0o7777, unquoted: true, truncate: true })),
});

const imageOptions = record<ImageMountOptions>({ subpath: field("subpath", text) });

/** The long form as it is written; the union is made from it. */
interface WrittenMount {
  readonly type: "bind" | "volume" | "tmpfs" | "cluster" | "npipe" | "image";
  readonly source?: string;
  readonly target?: string;
  readonly readOnly?: boolean;
  readonly consistency?: string;
  readonly bind?: BindOptions;
  readonly volume?: VolumeOptions;
  readonly tmpfs?: TmpfsOptions;
  readonly image?: ImageMountOptions;
  readonly extensions?: Extensions;
}

const writtenMount: RecordCodec<WrittenMount> = record<WrittenMount>(
  {
    type: field("type", oneOf(["bind", "volume", "tmpfs", "cluster", "npipe", "image"]), {
      required: true,
      missing: "type: bind, volume or tmpfs",
    }),
    source: field("source", text),
    target: field("target", text),
    readOnly: field("read_only", bool),
    consistency: field("consistency", text),
    bind: field("bind", bindOptions),
    volume: field("volume", volumeOptions),
    tmpfs: field("tmpfs", tmpfsOptions),
    image: field("image", imageOptions),
  },
  {
    misplaced: {
      is_directory: "type: bind with a directory as source",
      content: "configs with content",
      src: "source",
      dst: "target",
      destination: "target",
      readonly: "read_only",
      ro: "read_only",
    },
  },
);

const mount: Codec<ServiceMount> = {
  read(tree, path, reading) {
    if (tree.kind === "map") {
      const written = writtenMount.read(tree, path, reading);
      return written === undefined ? undefined : longMount(written, tree, path, reading);
    }
    if (tree.kind === "scalar" && isUnexpanded(tree, reading))
      return { type: "volume", target: tree.text };
    const spec = text.read(tree, path, reading);
    return spec === undefined ? undefined : shortMount(spec, tree, path, reading);
  },
  print: (value, format) =>
    writtenMount.print(
      value.type === "bind" ? { ...value, source: value.source.path } : value,
      format,
    ),
  schema: { oneOf: [{ type: "string" }, writtenMount.schema] },
};

function longMount(
  written: WrittenMount,
  tree: Tree,
  path: string,
  reading: Reading,
): ServiceMount | undefined {
  const { type, source, target, ...rest } = written;
  if (target === undefined || target === "") {
    return reading.problems.error(tree, path, "the key target is missing", { absence: true });
  }
  const base = { ...rest, target: containerPath(target) };
  if (type === "bind") {
    if (source === undefined || source === "") {
      return reading.problems.error(tree, path, "a bind needs the key source");
    }
    const origin = tree.kind === "map" ? (tree.entries.get("source")?.value ?? tree) : tree;
    return { ...base, type, source: hostPathOf(source, origin, reading) };
  }
  if (type === "tmpfs") return { ...base, type };
  return { ...base, type, ...(source === undefined || source === "" ? {} : { source }) };
}

const PROPAGATIONS = new Set(["rprivate", "private", "rshared", "shared", "rslave", "slave"]);

function shortMount(
  spec: string,
  tree: Tree,
  path: string,
  reading: Reading,
): ServiceMount | undefined {
  const parsed = parseMountSpec(spec);
  if (typeof parsed === "string") {
    return refuse(reading, tree, path, {
      found: `${JSON.stringify(spec)} ${parsed}`,
      expected: "[SOURCE:]TARGET[:OPTIONS]",
    });
  }
  const options = new Set(parsed.options);
  const common = {
    target: containerPath(parsed.target),
    ...(options.has("ro") && parsed.options.lastIndexOf("ro") > parsed.options.lastIndexOf("rw")
      ? { readOnly: true }
      : {}),
  };
  if (parsed.source !== "" && isHostPath(parsed.source)) {
    const bind = { ...bindWords(parsed.options), createHostPath: true };
    return { ...common, type: "bind", source: hostPathOf(parsed.source, tree, reading), bind };
  }
  const volume = options.has("nocopy") ? { nocopy: true } : {};
  const source = parsed.source === "" ? {} : { source: parsed.source };
  const bind = bindWords(parsed.options);
  return {
    ...common,
    type: "volume",
    ...source,
    ...(Object.keys(bind).length > 0 ? { bind } : {}),
    // The reference has a short cut for texts this short, and forgets the options there.
    ...(spec.length <= 2 ? {} : { volume }),
  };
}

function bindWords(options: readonly string[]): BindOptions {
  const propagation = options.findLast((option) => PROPAGATIONS.has(option));
  const selinux = options.findLast((option) => option === "z" || option === "Z");
  return {
    ...(selinux === "z" || selinux === "Z" ? { selinux } : {}),
    ...(propagation === undefined ? {} : { propagation }),
  };
}

/** `volumes` of a service: told apart by their targets. */
export const mounts = list(mount, { identity: (one) => one.target });

const fileReference = record<FileReference>(
  {
    source: field("source", text, { required: true }),
    target: field("target", text),
    uid: field("uid", text),
    gid: field("gid", text),
    mode: field("mode", integer({ min: 0, max: 0o7777, truncate: true }), { keepZero: true }),
  },
  {
    expand: (tree, path, reading) => {
      const source = text.read(tree, path, reading);
      return source === undefined
        ? undefined
        : mapTree(tree, new Map([["source", { key: tree, value: textTree(tree, source) }]]));
    },
    short: { words: "a name", schema: { type: "string" } },
    misplaced: { src: "source", dst: "target", destination: "target" },
  },
);

/** `configs` of a service. */
export const configReferences = list(fileReference, {
  identity: (one) => one.target ?? `/${one.source}`,
});

const secretReference: Codec<FileReference> = {
  ...fileReference,
  read(tree, path, reading) {
    const read = fileReference.read(tree, path, reading);
    return read === undefined ? undefined : { target: `/run/secrets/${read.source}`, ...read };
  },
};

/** `secrets` of a service and of a build. */
export const secretReferences = list(secretReference, {
  identity: (one) => one.target ?? `/run/secrets/${one.source}`,
});

/** `secrets` of a build: without a target. */
export const buildSecretReferences = list(fileReference);

const device = record<DeviceMapping>(
  {
    source: field("source", text, { required: true }),
    target: field("target", text, { required: true }),
    permissions: field("permissions", text),
  },
  {
    expand: expandDevice,
    short: { words: "HOST[:CONTAINER[:rwm]]", schema: { type: "string" } },
  },
);

function expandDevice(tree: Tree, path: string, reading: Reading): Tree | undefined {
  const written = text.read(tree, path, reading);
  if (written === undefined) return undefined;
  const parts = written.split(":");
  if (parts.length > 3) {
    return refuse(reading, tree, path, {
      found: `is ${kindName(tree)}`,
      expected: "HOST[:CONTAINER[:rwm]], or the long form with source and target",
    });
  }
  const [source = "", target = "", permissions = "rwm"] = parts;
  const entries = { source, target: target === "" ? source : target, permissions };
  return mapTree(
    tree,
    new Map(
      Object.entries(entries).map(([key, value]) => [
        key,
        { key: tree, value: textTree(tree, value) },
      ]),
    ),
  );
}

/** `devices` of a service. */
export const devices = list(device, { identity: (one) => one.target ?? one.source });
