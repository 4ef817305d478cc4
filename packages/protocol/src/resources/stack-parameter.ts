/**
 * Parameters of a stack: values that its file asks for by name and does not have. Those that were given or made up
 * are kept, sealed, so that the next deploy finds them again; a default stays with the file.
 */

import { Type } from "typebox";
import { Timestamp } from "../names.ts";
import type { Of } from "../schema.ts";
import { PARAMETER_CHARS_MAX } from "./parameter-limits.ts";

/** Upper or lower case, as variables are called: a parameter is used as `${NAME}`. */
export const PARAMETER_NAME_PATTERN = "^[A-Za-z_][A-Za-z0-9_]{0,99}$";
export const ParameterName = Type.String({ pattern: PARAMETER_NAME_PATTERN });

/** Characters or bytes of a generated value. */
export const GENERATED_LENGTH_MAX = 1_024;

const Length = Type.Integer({ minimum: 1, maximum: GENERATED_LENGTH_MAX });
const ClaimValue = Type.Union([Type.String(), Type.Number(), Type.Boolean()]);

/** How a value is made up. */
export const ParameterGeneration = Type.Union([
  /** Letters and digits. */
  Type.Object({ kind: Type.Literal("password"), length: Length }),
  /** Hexadecimal digits, so many. */
  Type.Object({ kind: Type.Literal("hex"), length: Length }),
  /** Base64 of so many bytes. */
  Type.Object({ kind: Type.Literal("base64"), length: Length }),
  Type.Object({ kind: Type.Literal("uuid") }),
  /** A token (HS256), signed with the value of another parameter; made anew when that one changes. */
  Type.Object({
    kind: Type.Literal("jwt"),
    signedWith: ParameterName,
    claims: Type.Record(Type.String(), ClaimValue, { maxProperties: 50 }),
    /** Seconds until `exp`; absent: the token has none. */
    lifetimeSeconds: Type.Optional(Type.Integer({ minimum: 1, maximum: 4_000_000_000 })),
  }),
]);
export type ParameterGeneration = Of<typeof ParameterGeneration>;

/** What a deploy wishes of one parameter. Where there is more than one source, the first of the fields wins. */
export const ParameterWish = Type.Object(
  {
    /** Given by a person with this deploy; kept. */
    given: Type.Optional(Type.String({ maxLength: PARAMETER_CHARS_MAX })),
    /** Made up where nothing is kept; kept. */
    generate: Type.Optional(ParameterGeneration),
    /** The file's own; not kept. */
    fallback: Type.Optional(Type.String({ maxLength: PARAMETER_CHARS_MAX })),
    /** Never shown but by an administrator who asks for it. */
    secret: Type.Boolean(),
  },
  { additionalProperties: false },
);
export type ParameterWish = Of<typeof ParameterWish>;

/** Where a value came from, seen from one deploy. */
export const ParameterSource = Type.Union([
  Type.Literal("given"),
  Type.Literal("kept"),
  Type.Literal("generated"),
  Type.Literal("default"),
]);
export type ParameterSource = Of<typeof ParameterSource>;

export const ParameterValue = Type.Object({
  value: Type.String(),
  source: ParameterSource,
  /** It is not what was kept before. */
  changed: Type.Boolean(),
});
export type ParameterValue = Of<typeof ParameterValue>;

/** What became of the wishes: values, and the names of those that nobody has a value for. */
export const ResolvedParameters = Type.Object({
  values: Type.Record(Type.String(), ParameterValue),
  missing: Type.Array(Type.String()),
});
export type ResolvedParameters = Of<typeof ResolvedParameters>;

/** A kept parameter. Written by the API. */
export const StackParameter = Type.Object({
  name: Type.String(),
  source: Type.Union([Type.Literal("given"), Type.Literal("generated")]),
  secret: Type.Boolean(),
  updatedAt: Timestamp,
  /** Only where it was asked for. */
  value: Type.Optional(Type.String()),
});
export type StackParameter = Of<typeof StackParameter>;
