/**
 * Every command by its words, in the order of the help. A row costs nothing until its command runs: the
 * summary stands here so that `berth --help` loads no command.
 */

import type { CommandDescription } from "./command.ts";

export interface CommandRow {
  /** `deploy`, `stack rm` */
  readonly words: string;
  readonly group: (typeof GROUPS)[number];
  readonly summary: string;
  readonly load: () => Promise<CommandDescription>;
}

export const GROUPS = ["Stacks", "Looking", "Cluster", "This machine", "Processes"] as const;

type CommandModule = { readonly command: CommandDescription };

function row(
  group: CommandRow["group"],
  words: string,
  summary: string,
  load: () => Promise<CommandModule>,
): CommandRow {
  return { group, words, summary, load: async () => (await load()).command };
}

export const COMMANDS: readonly CommandRow[] = [
  row(
    "Stacks",
    "deploy",
    "make a release of a Compose file and move to it",
    () => import("./commands/deploy.ts"),
  ),
  row(
    "This machine",
    "platform start",
    "start Berth on this machine, in the background",
    () => import("./commands/platform-start.ts"),
  ),
  row(
    "This machine",
    "platform stop",
    "stop Berth on this machine; containers keep running",
    () => import("./commands/platform-stop.ts"),
  ),
  row(
    "This machine",
    "platform status",
    "what of Berth runs on this machine",
    () => import("./commands/platform-status.ts"),
  ),
  row(
    "This machine",
    "platform doctor",
    "check everything that Berth needs",
    () => import("./commands/platform-doctor.ts"),
  ),
  row(
    "This machine",
    "platform welcome",
    "addresses of this platform and what to try next",
    () => import("./commands/platform-welcome.ts"),
  ),
  row(
    "This machine",
    "image base",
    "make a base image from the distribution's packages",
    () => import("./commands/image-base.ts"),
  ),
  row(
    "Processes",
    "version",
    "version of this program, and of the server",
    () => import("./commands/version.ts"),
  ),
];
