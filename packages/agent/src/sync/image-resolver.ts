/** What looking up and building images needs of an agent's parts. */

import type { Clock } from "@berth/base";
import type { AgentParts } from "../agent-parts.ts";
import type { Runtime } from "../runtime/port.ts";
import { Slots } from "../task/slots.ts";
import { BUILDS_MAX, type ImageResolver, RESOLVES_MAX } from "./resolve-images.ts";

export interface ImageResolverSource {
  readonly runtime: Runtime;
  readonly clock: Clock;
  readonly parts: Pick<AgentParts, "state" | "blobs" | "credentials" | "ledger">;
  readonly cluster: () => string;
  readonly refusesBuilds: () => boolean;
}

/** With places of its own for look-ups and builds. */
export function imageResolver(source: ImageResolverSource): ImageResolver {
  const { runtime, clock, parts, cluster, refusesBuilds } = source;
  const { state, blobs, credentials, ledger } = parts;
  return {
    ...{ runtime, credentials, cluster, clock, lookUps: state, refusesBuilds },
    resolves: new Slots(RESOLVES_MAX),
    builds: new Slots(BUILDS_MAX),
    fetchContext: (digest, signal) => blobs.stream(digest, signal),
    builtBefore: (key) => state.builtBefore(key),
    noteBuilt: async (key, imageId) => {
      await state.noteBuilt(key, imageId);
      await ledger.noteOwn(imageId, clock.now());
    },
  };
}
