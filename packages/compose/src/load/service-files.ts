/**
 * `env_file` and `label_file`: the files are read and their values put under what the service says itself.
 */

import type { ComposeService, EnvFile } from "../model/service-model.ts";
import type { HostPath } from "../model/storage-model.ts";
import type { Environment, Session } from "./session.ts";
import type { TreeSourceMap } from "./source-map.ts";

/** `service` with the values of its files. */
export function withFileValues(
  session: Session,
  service: ComposeService,
  path: string,
  how: {
    readonly environment: Environment;
    readonly sources: TreeSourceMap;
    /** False leaves env files unread, and their values out. Labels are always a part of the service. */
    readonly readEnvFiles: boolean;
  },
): ComposeService {
  const { envFiles, labelFiles } = service;
  const pathOf = ({ path: printed, resolved = printed }: HostPath) => resolved;
  if (envFiles === undefined && labelFiles === undefined) return service;
  const values = new Map<string, string>();
  for (const file of how.readEnvFiles ? (envFiles ?? []) : [])
    readEnvFile(session, file, { ...how, path: `${path}.env_file`, values, at: pathOf(file.file) });
  const labels = new Map<string, string>();
  const asked = how.sources.origin(`${path}.label_file`);
  for (const file of labelFiles ?? []) {
    const read = session.readEnv(pathOf(file), { asked, path: `${path}.label_file` }, (name) =>
      labels.get(name),
    );
    for (const [key, value] of read) labels.set(key, value);
  }
  return {
    ...service,
    ...(envFiles === undefined || !how.readEnvFiles
      ? {}
      : { environment: { ...Object.fromEntries(values), ...service.environment } }),
    ...(labelFiles === undefined
      ? {}
      : { labels: { ...Object.fromEntries(labels), ...service.labels } }),
  };
}

function readEnvFile(
  session: Session,
  envFile: EnvFile,
  how: {
    readonly environment: Environment;
    readonly sources: TreeSourceMap;
    readonly path: string;
    readonly values: Map<string, string>;
    /** Where the file lies. */
    readonly at: string;
  },
): void {
  const { environment, sources, path, values, at } = how;
  if (!envFile.required && !session.isFile(at)) return;
  const lookup = (name: string) => values.get(name) ?? environment.get(name);
  const form = { raw: envFile.format === "raw", asked: sources.origin(path), path };
  for (const [key, value] of session.readEnv(at, form, lookup)) values.set(key, value);
}
