/**
 * What a parameter in a path may look like, by its name. Checked before anything is done with it, so that a
 * parameter can become part of a store key, a file name or a container's name without another thought.
 */

import { type TSchema, Type } from "typebox";
import { ComposeName, Digest, Identifier, Name } from "../names.ts";
import { CertificateName } from "../resources/certificate.ts";
import { ExternalFileKind, ExternalFileName } from "../resources/external-file.ts";
import { RegistryServer } from "../resources/registry.ts";
import { ParameterName } from "../resources/stack-parameter.ts";
import type { ParamsOf } from "./route.ts";
import type { RouteId, Routes } from "./routes.ts";

/** Every name in braces of any route. */
export type PathParameter = { [Id in RouteId]: keyof ParamsOf<Routes[Id]> }[RouteId];

const checked = {
  project: Name,
  environment: Name,
  stack: Name,
  node: Name,
  service: ComposeName,
  /** Key in the stack's file. */
  network: ComposeName,
  /** `data`, or `data.2` for the volume of a slot. */
  volume: Type.String({ pattern: "^[a-zA-Z0-9][a-zA-Z0-9._-]{0,79}$" }),
  certificate: CertificateName,
  kind: ExternalFileKind,
  external: ExternalFileName,
  release: Type.String({ pattern: "^[1-9][0-9]{0,7}$" }),
  deployment: Identifier,
  operation: Identifier,
  session: Identifier,
  task: Identifier,
  digest: Digest,
  server: RegistryServer,
  parameter: ParameterName,
  /** Of IPv4. */
  address: Type.String({ pattern: "^[0-9.]{7,15}$" }),
} as const satisfies Readonly<Record<PathParameter, TSchema>>;

export const parameterSchemas: Readonly<Record<string, TSchema>> = checked;
