/**
 * Volumes, configs, secrets and models at the top of a file.
 */

import type { Codec } from "../codec/codec.ts";
import { driverOptions, texts, textTable } from "../codec/collection-codecs.ts";
import { field, record } from "../codec/record-codec.ts";
import { bool, integer, text } from "../codec/scalar-codecs.ts";
import type { ComposeModel } from "../model/project-model.ts";
import type { ComposeFileObject, ComposeVolume } from "../model/storage-model.ts";
import { valueAt } from "../tree/tree.ts";
import { volumeWishes } from "./berth-volume-codec.ts";
import { external } from "./external.ts";
import { hostPath, hostPathOf } from "./path-codecs.ts";

const volumeWords = record<Omit<ComposeVolume, "bindDevice">>({
  name: field("name", text),
  driver: field("driver", text),
  driverOpts: field("driver_opts", driverOptions),
  external: field("external", bool),
  labels: field("labels", textTable),
  xBerth: field("x-berth", volumeWishes),
});

/** A volume of the stack. */
export const volume: Codec<ComposeVolume> = external({
  ...volumeWords,
  read(tree, path, reading) {
    const words = volumeWords.read(tree, path, reading);
    const device = valueAt(valueAt(tree, "driver_opts"), "device");
    const isBind = words?.driver === "local" && words.driverOpts?.["o"] === "bind";
    if (words === undefined || !isBind || device?.kind !== "scalar") return words;
    const bindDevice = hostPathOf(device.text, device, reading);
    return { ...words, driverOpts: { ...words.driverOpts, device: bindDevice.path }, bindDevice };
  },
});

const fileObject = record<ComposeFileObject>({
  name: field("name", text),
  file: field("file", hostPath),
  environment: field("environment", text),
  content: field("content", text),
  external: field("external", bool),
  labels: field("labels", textTable),
  driver: field("driver", text),
  driverOpts: field("driver_opts", driverOptions),
  templateDriver: field("template_driver", text),
});

/** A config of the stack. */
export const config: Codec<ComposeFileObject> = external(
  oneSource(["file", "environment", "content"]),
);

/** A secret of the stack. */
export const secret: Codec<ComposeFileObject> = external(oneSource(["file", "environment"]));

type SourceKey = "file" | "environment" | "content";

/** A file object with exactly one source of its content, unless it is external or has a driver. */
function oneSource(keys: readonly SourceKey[]): Codec<ComposeFileObject> {
  return {
    ...fileObject,
    read(tree, path, reading) {
      const read = fileObject.read(tree, path, reading);
      if (read === undefined) return undefined;
      const hasContent = keys.includes("content");
      if (read.content !== undefined && !hasContent) {
        const key = tree.kind === "map" ? tree.entries.get("content")?.key : undefined;
        return reading.problems.error(key ?? tree, `${path}.content`, "unknown key", {
          expected: "file or environment, so that no secret stands in the file",
        });
      }
      const given = keys.filter((key) => read[key] !== undefined);
      if (given.length > 1) {
        reading.problems.error(tree, path, `${given.join(" and ")} exclude each other`);
      }
      if (
        given.length === 0 &&
        (read.driver === undefined || !hasContent) &&
        read.external !== true
      ) {
        reading.problems.error(tree, path, `one of ${keys.join(", ")} is needed`);
      }
      return read;
    },
    // The value of `environment` is put into `content` while loading and must not be shown.
    print(value, format) {
      const { content: _content, ...shown } = value;
      return fileObject.print(value.environment === undefined ? value : shown, format);
    },
  };
}

/** A language model. */
export const model = record<ComposeModel>({
  name: field("name", text),
  model: field("model", text, { required: true }),
  contextSize: field("context_size", integer({ min: 0 })),
  runtimeFlags: field("runtime_flags", texts),
});
