/** Routes of secrets and configs that an environment has apart from stacks. */

import { Type } from "typebox";
import { ExternalFile, ExternalFileInput } from "../resources/external-file.ts";
import type { RouteDescription } from "./route.ts";

const KIND = "/v1/projects/{project}/environments/{environment}/external/{kind}";
const FILE = `${KIND}/{external}` as const;

export const externalRoutes = {
  listExternalFiles: {
    method: "GET",
    path: KIND,
    summary: "Secrets or configs of an environment that stack files name with `external: true`.",
    access: "user",
    answer: { kind: "json", schema: Type.Object({ items: Type.Array(ExternalFile) }) },
    errors: [],
  },
  getExternalFile: {
    method: "GET",
    path: FILE,
    summary: "One of them: its versions and who uses them, without its content.",
    access: "user",
    answer: { kind: "json", schema: ExternalFile },
    errors: ["not_found"],
  },
  putExternalFile: {
    method: "PUT",
    path: FILE,
    summary: "Makes one, or gives it another content: the next deploy of a stack takes it.",
    access: "user",
    body: ExternalFileInput,
    answer: { kind: "json", schema: ExternalFile },
    errors: ["already_exists", "conflict", "limit_exceeded", "not_found"],
  },
  getExternalContent: {
    method: "GET",
    path: `${FILE}/content`,
    summary: "The newest content of a config, as base64. Secrets are handed to nobody.",
    access: "user",
    answer: { kind: "json", schema: Type.Object({ content: Type.String() }) },
    errors: ["not_found"],
  },
  removeExternalFile: {
    method: "DELETE",
    path: FILE,
    summary: "Removes one that no stack uses.",
    access: "user",
    answer: { kind: "json", schema: ExternalFile },
    errors: ["conflict", "not_found", "still_in_use"],
  },
} as const satisfies Readonly<Record<string, RouteDescription>>;
