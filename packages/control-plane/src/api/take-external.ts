/**
 * From what a request says to what the server goes on with: contents of secrets opened, external secrets and configs
 * taken from the environment as they are now. What is missing becomes a problem with its place in the file, beside all
 * others that the deployment may have.
 */

import type {
  ConfigSpec,
  EnvironmentScope,
  ExternalFileKind,
  PinnedSpec,
  StackSpec,
} from "@berth/protocol";
import { DigestMeter } from "../blobs/digest.ts";
import type { Problem } from "../release/claims.ts";
import {
  commandOf,
  findExternal,
  listExternal,
  missingText,
  readExternal,
} from "./external-files.ts";
import type { ApiContext } from "./handler.ts";
import { decodedContent, type OpenSecret, type OpenSecrets } from "./secret-versions.ts";

type TakeContext = Pick<ApiContext, "store" | "secrets">;

export interface TakenSpec {
  readonly spec: PinnedSpec;
  readonly secrets: OpenSecrets;
  /** Contents of external configs: agents fetch them from the blobs, where a deploy puts them. */
  readonly configContents: readonly Uint8Array[];
  readonly problems: readonly Problem[];
}

interface Where {
  readonly scope: EnvironmentScope;
  readonly signal: AbortSignal;
  readonly problems: Problem[];
}

/** Nothing is written. */
export async function takeExternal(
  context: TakeContext,
  written: StackSpec,
  { scope, signal }: Omit<Where, "problems">,
): Promise<TakenSpec> {
  const where: Where = { scope, signal, problems: [] };
  const { secrets: secretInputs, configs: configInputs, ...rest } = written;
  const configs: Record<string, ConfigSpec> = {};
  const contents: Uint8Array[] = [];
  for (const [key, input] of Object.entries(configInputs)) {
    if (!("external" in input)) {
      configs[key] = { digest: input.digest, sizeBytes: input.sizeBytes };
      continue;
    }
    const taken = await take(context, "config", { key, name: input.external.name }, where);
    const meter = new DigestMeter();
    meter.update(taken.content);
    contents.push(taken.content);
    configs[key] = {
      digest: meter.digest(),
      sizeBytes: meter.sizeBytes,
      ...sourceOf(taken),
    };
  }
  const secrets: Record<string, OpenSecret> = {};
  for (const [key, input] of Object.entries(secretInputs)) {
    secrets[key] =
      "external" in input
        ? await take(context, "secret", { key, name: input.external.name }, where)
        : { content: decodedContent(`secret ${key}`, input.content) };
  }
  const spec = { ...rest, configs };
  return { spec, secrets, configContents: contents, problems: where.problems };
}

function sourceOf({ external }: OpenSecret): Pick<OpenSecret, "external"> {
  return external === undefined ? {} : { external };
}

/** Stands for what is missing: the problem refuses the deployment before anybody reads it. */
const MISSING: OpenSecret = { content: new Uint8Array() };

async function take(
  context: TakeContext,
  kind: ExternalFileKind,
  { key, name }: { readonly key: string; readonly name: string },
  { scope, signal, problems }: Where,
): Promise<OpenSecret> {
  const place = { scope, kind, name };
  const found = await findExternal(context, place, signal);
  const content = found && (await readExternal(context, place, signal));
  const version = found?.stored.versions.at(-1)?.number;
  if (content !== undefined && version !== undefined) {
    return { content, external: { name, version } };
  }
  const known = [...(await listExternal(context, place, signal)).keys()];
  const makes = `berth ${commandOf(kind)} create ${name} makes one`;
  problems.push({ path: `${kind}s.${key}`, message: `${missingText(place, known)} (${makes})` });
  return MISSING;
}
