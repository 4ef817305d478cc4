/**
 * Which server a command talks to. First that says so wins: `--context`, BERTH_URL with BERTH_TOKEN, the
 * config file's current context, the platform on this machine.
 */

import { mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import {
  DEFAULT_ENVIRONMENT,
  DEFAULT_PROJECT,
  type Of,
  ProtocolError,
  parseAs,
} from "@berth/protocol";
import { Type } from "typebox";
import { parse, stringify } from "yaml";
import { dataDirOf, type PlatformPaths, platformPaths } from "../platform/paths.ts";
import { type PlatformSettings, readSettings } from "../platform/settings.ts";
import { serversOfAgent, serversOfContext } from "./known-servers.ts";

const Context = Type.Object(
  {
    url: Type.String(),
    token: Type.Optional(Type.String()),
    /** Read at each use: the token may change. */
    tokenFile: Type.Optional(Type.String()),
    /** The cluster's authority as a PEM file, for an address with https: `berth ca export`. */
    authority: Type.Optional(Type.String()),
    /** Certificate and key of a node that joined. */
    identityFile: Type.Optional(Type.String()),
    project: Type.Optional(Type.String()),
    environment: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);
export type Context = Of<typeof Context>;

const ConfigFile = Type.Object(
  {
    current: Type.Optional(Type.String()),
    contexts: Type.Optional(Type.Record(Type.String(), Context)),
  },
  { additionalProperties: false },
);
export type ConfigFile = Of<typeof ConfigFile>;

/** The context that stands for the platform on this machine. */
export const LOCAL_CONTEXT = "local";

type Environment = Readonly<Record<string, string | undefined>>;

export function configPath(environment: Environment): string {
  const base = environment["XDG_CONFIG_HOME"] ?? join(environment["HOME"] ?? "/", ".config");
  return join(base, "berth", "config.yaml");
}

/** @throws ProtocolError `invalid_request` naming the file. */
export function readConfig(environment: Environment): ConfigFile {
  const file = configPath(environment);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return {};
  }
  try {
    return parseAs(ConfigFile, parse(text) ?? {}, file);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new ProtocolError("invalid_request", `${file} cannot be understood: ${reason}`, { file });
  }
}

export function writeConfig(environment: Environment, config: ConfigFile): void {
  const file = configPath(environment);
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  writeFileSync(`${file}.fresh`, stringify(config), { mode: 0o600 });
  renameSync(`${file}.fresh`, file);
}

/** The context a command uses, with its name. */
export function chooseContext(
  environment: Environment,
  wanted: string | undefined,
): { readonly name: string; readonly context: Context } {
  const url = environment["BERTH_URL"];
  if (wanted === undefined && url !== undefined && url !== "") {
    const token = environment["BERTH_TOKEN"];
    const authority = environment["BERTH_AUTHORITY"];
    const context = {
      url,
      ...(token === undefined ? {} : { token }),
      ...(authority === undefined ? {} : { authority }),
    };
    return { name: "environment", context };
  }
  const config = readConfig(environment);
  const name = wanted ?? config.current ?? LOCAL_CONTEXT;
  const listed = config.contexts?.[name];
  if (listed !== undefined) return { name, context: listed };
  if (name === LOCAL_CONTEXT) return { name, context: localContext(environment) };
  const known = [LOCAL_CONTEXT, ...Object.keys(config.contexts ?? {})].join(", ");
  throw new ProtocolError("not_found", `there is no context ${name}; known are ${known}`, { name });
}

/** The platform on this machine, by its data directory. */
export function localContext(environment: Environment): Context {
  const paths = localPaths(environment);
  const settings = localSettings(environment);
  const token = environment["BERTH_TOKEN"];
  if (settings.joined !== undefined) {
    const { url } = settings.joined;
    return { url, identityFile: paths.identity, ...(token === undefined ? {} : { token }) };
  }
  return {
    url: `http://${settings.host}:${settings.port}`,
    ...(token === undefined ? { tokenFile: paths.adminToken } : { token }),
  };
}

/** Where the servers of a context's cluster are noted, and whether the command line notes them itself. */
export function serversFileOf(
  environment: Environment,
  name: string,
  { url }: Context,
): { readonly file: string; readonly learns: boolean } {
  if (name === LOCAL_CONTEXT) {
    return { file: serversOfAgent(localPaths(environment)), learns: false };
  }
  return { file: serversOfContext(environment, url), learns: true };
}

/** Where the platform of this machine and user keeps its things. */
export function localPaths(environment: Environment): PlatformPaths {
  const userId = process.getuid?.() ?? 0;
  return platformPaths(dataDirOf(environment, userId), environment, userId);
}

export function localSettings(environment: Environment): PlatformSettings {
  return readSettings(localPaths(environment).settings);
}

/** The token of a context; `undefined` when it has none. */
export function tokenOf(context: Context): string | undefined {
  if (context.token !== undefined) return context.token;
  if (context.tokenFile === undefined) return undefined;
  try {
    return readFileSync(context.tokenFile, "utf8").trim();
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "EACCES") {
      const file = context.tokenFile;
      throw new ProtocolError("forbidden", `${file} may not be read by this user`, { file });
    }
    // No platform here: the connection will say so.
    return undefined;
  }
}

/** Project and environment: flags, variables, context, defaults. */
export function scopeOf(
  environment: Environment,
  options: Readonly<Record<string, unknown>>,
  context: () => Context,
): { readonly project: string; readonly environment: string } {
  const text = (value: unknown) => (typeof value === "string" && value !== "" ? value : undefined);
  const project = text(options["project"]) ?? text(environment["BERTH_PROJECT"]);
  const env = text(options["env"]) ?? text(environment["BERTH_ENV"]);
  if (project !== undefined && env !== undefined) return { project, environment: env };
  const chosen = context();
  return {
    project: project ?? chosen.project ?? DEFAULT_PROJECT,
    environment: env ?? chosen.environment ?? DEFAULT_ENVIRONMENT,
  };
}
