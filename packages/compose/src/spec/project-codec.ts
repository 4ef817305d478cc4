/**
 * The top of a stack file.
 */

import type { Codec } from "../codec/codec.ts";
import { orNothing, tableOf } from "../codec/collection-codecs.ts";
import type { Extensions } from "../codec/extension.ts";
import { field, record } from "../codec/record-codec.ts";
import { text } from "../codec/scalar-codecs.ts";
import type { StackWishes } from "../model/berth-model.ts";
import type { ComposeNetwork } from "../model/network-model.ts";
import type { ComposeModel } from "../model/project-model.ts";
import type { ComposeService } from "../model/service-model.ts";
import type { ComposeFileObject, ComposeVolume } from "../model/storage-model.ts";
import { stackWishes } from "./berth-volume-codec.ts";
import { network } from "./network-codecs.ts";
import { service } from "./service-codec.ts";
import { config, model, secret, volume } from "./storage-codecs.ts";

/** A stack file's content before defaults are put in. */
export interface ProjectWords {
  readonly version?: string;
  readonly name?: string;
  readonly services?: Readonly<Record<string, ComposeService>>;
  readonly networks?: Readonly<Record<string, ComposeNetwork>>;
  readonly volumes?: Readonly<Record<string, ComposeVolume>>;
  readonly secrets?: Readonly<Record<string, ComposeFileObject>>;
  readonly configs?: Readonly<Record<string, ComposeFileObject>>;
  readonly models?: Readonly<Record<string, ComposeModel>>;
  readonly xBerth?: StackWishes;
  readonly extensions?: Extensions;
}

const NAMES = /^[a-zA-Z0-9._-]+$/;

function named<T>(codec: Codec<T>): Codec<Readonly<Record<string, T>>> {
  return orNothing(tableOf(codec, { names: NAMES }), {});
}

/** The keys at the top. `include` and `extends` are gone when this reads. */
export const projectWords = record<ProjectWords>(
  {
    version: field("version", text, { hidden: true }),
    name: field("name", text),
    services: field("services", tableOf(service, { names: NAMES })),
    networks: field("networks", named(network)),
    volumes: field("volumes", named(volume)),
    secrets: field("secrets", named(secret)),
    configs: field("configs", named(config)),
    models: field("models", named(model)),
    xBerth: field("x-berth", stackWishes),
  },
  {
    misplaced: {
      service: "services",
      volume: "volumes",
      network: "networks",
    },
    elsewhere: (key, value) => {
      if (service.keys.has(key) && key !== "name") return `services.NAME.${key}`;
      const isService =
        value.kind === "map" && ["image", "build"].some((word) => value.entries.has(word));
      return isService ? `services.${key}` : undefined;
    },
  },
);
