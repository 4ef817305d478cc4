/**
 * Secrets and configs that an environment has apart from stacks. A stack file names one with `external: true`; a
 * deploy takes the newest version, and its release keeps that one, whatever becomes of the object.
 */

import { Type } from "typebox";
import { Timestamp } from "../names.ts";
import type { Of } from "../schema.ts";

/** What Docker takes as a name of either: up to 64 characters, letters and digits at both ends. */
export const EXTERNAL_FILE_NAME_PATTERN = "^[a-zA-Z0-9]([a-zA-Z0-9._-]{0,62}[a-zA-Z0-9])?$";
export const ExternalFileName = Type.String({ pattern: EXTERNAL_FILE_NAME_PATTERN, maxLength: 64 });

export const ExternalFileKind = Type.Union([Type.Literal("secret"), Type.Literal("config")]);
export type ExternalFileKind = Of<typeof ExternalFileKind>;

/** Of one kind in one environment: each may be 500 KiB, and a list of them is one answer. */
export const EXTERNAL_FILES_MAX = 500;
/** Versions that are told of; their contents lie with the releases that use them. */
export const EXTERNAL_VERSIONS_KEPT = 20;
/** As of the secrets of a stack. Base64 of it fits into one value of the store. */
export const EXTERNAL_FILE_BYTES_MAX = 500 * 1024;
/** Characters of base64 that `EXTERNAL_FILE_BYTES_MAX` has, with its padding. */
const CONTENT_CHARS_MAX = 4 * Math.ceil(EXTERNAL_FILE_BYTES_MAX / 3);

export const ExternalVersion = Type.Object({
  /** 1, 2, 3 ...: each has another content than the one before. */
  number: Type.Integer({ minimum: 1 }),
  sizeBytes: Type.Integer({ minimum: 0 }),
  createdAt: Timestamp,
  /** Name of the token that wrote it. */
  createdBy: Type.String(),
});
export type ExternalVersion = Of<typeof ExternalVersion>;

/** A stack whose current release, or one that it is on its way to, took a version. */
export const ExternalUse = Type.Object({
  stack: Type.String(),
  release: Type.Integer({ minimum: 1 }),
  /** What the stack's file calls it. */
  key: Type.String(),
  /** The version that this release took. */
  version: Type.Integer({ minimum: 1 }),
});
export type ExternalUse = Of<typeof ExternalUse>;

/** What may be told of one: never its content. */
export const ExternalFile = Type.Object({
  project: Type.String(),
  environment: Type.String(),
  kind: ExternalFileKind,
  name: Type.String(),
  createdAt: Timestamp,
  /** Newest last; at most `EXTERNAL_VERSIONS_KEPT`. */
  versions: Type.Array(ExternalVersion, { minItems: 1 }),
  usedBy: Type.Array(ExternalUse),
});
export type ExternalFile = Of<typeof ExternalFile>;

export const ExternalFileInput = Type.Object(
  {
    /** Base64 of the bytes; at most 500 KiB decoded. */
    content: Type.String({ maxLength: CONTENT_CHARS_MAX }),
    /** `create` refuses a name that is there, `update` one that is not. */
    how: Type.Union([Type.Literal("create"), Type.Literal("update")]),
  },
  { additionalProperties: false },
);
