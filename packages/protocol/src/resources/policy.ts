/** What stack files of a project may ask of their hosts. */

import { Type } from "typebox";
import type { Of } from "../schema.ts";

/** What may be allowed, by the word that commands use, in order of their power. */
export const GRANTS = {
  privileged:
    "privileged containers and commands, capabilities that reach the host, unconfined profiles, groups outside of ours",
  "engine-socket": "the container engine's socket as a mount: whoever has it is root on the host",
  "host-mounts": "paths and disks of the host as mounts and volumes",
  devices: "devices of the host, rules for devices, devices of the engine's drivers",
  "host-namespaces":
    "the host's network, processes, IPC, users, names, and those of foreign containers",
} as const satisfies Readonly<Record<string, string>>;
export type Grant = keyof typeof GRANTS;

const GrantWord = Type.Enum(Object.keys(GRANTS) as [Grant, ...Grant[]]);

/** The policy of a project. What the machine allows, it allows all projects; a project's own come on top. */
export const ProjectPolicy = Type.Object({
  project: Type.String(),
  /** Written by administrators; nothing is allowed when there is no row. */
  allow: Type.Array(GrantWord),
});
export type ProjectPolicy = Of<typeof ProjectPolicy>;

/** A policy with what it comes to. */
export const PolicyView = Type.Object({
  project: Type.String(),
  allow: Type.Array(GrantWord),
  /** Allowed to every project by the settings of the platform. */
  everywhere: Type.Array(GrantWord),
});
export type PolicyView = Of<typeof PolicyView>;

/** The whole policy of a project, in place of what it was. */
export const PolicyInput = Type.Object(
  { allow: Type.Array(GrantWord, { uniqueItems: true }) },
  { additionalProperties: false },
);
export type PolicyInput = Of<typeof PolicyInput>;
