/** What is asked of the server itself: life, readiness, figures, its own description. */

import { SECOND_MS, sleep } from "@berth/base";
import { openApiDocument, PROTOCOL_VERSION, ProtocolError } from "@berth/protocol";
import { everything } from "../../store/copy-store.ts";
import type { Store } from "../../store/port.ts";
import type { ApiContext, Handler } from "../handler.ts";

/** A store that does not answer a read within this time cannot serve. */
const READY_TIMEOUT_MS = 2 * SECOND_MS;

export const health: Handler<"health"> = () => "ok\n";

export const readiness: Handler<"readiness"> = async (_request, context) => {
  const late = sleep(context.clock, READY_TIMEOUT_MS).then(() => "late" as const);
  const revision = await Promise.race([context.store.currentRevision(), late]);
  if (revision === "late") {
    throw new ProtocolError("unavailable", "the store does not answer", {
      deadlineMs: READY_TIMEOUT_MS,
    });
  }
  return `ok\nrevision ${revision}, shown ${context.state.revision}\n`;
};

export const metrics: Handler<"metrics"> = (_request, context) => context.renderMetrics();

export const openapi: Handler<"openapi"> = (_request, context) => openApiDocument(context.version);

export const version: Handler<"version"> = (_request, context) => ({
  version: context.version,
  protocol: PROTOCOL_VERSION,
  cluster: clusterId(context),
  epoch: context.state.epoch,
  revision: context.state.revision,
  ingressHttpPort: context.settings.ingressHttpPort,
});

/** The cluster's identity, which the server wrote before it began to listen. */
export function clusterId({ state }: Pick<ApiContext, "state">): string {
  const [cluster] = state.view.cluster.all();
  if (cluster === undefined) throw new ProtocolError("unavailable", "the cluster is being set up");
  return cluster.value.id;
}

export const debugLoops: Handler<"debugLoops"> = (_request, context) => ({
  loops: context.loopStatuses(),
});

/** Lines of one piece: some hundred kilobytes. */
const SNAPSHOT_LINES = 500;

/** Secrets in it are sealed, tokens hashed; it is for administrators all the same. */
export const snapshotStore: Handler<"snapshotStore"> = async ({ signal }, { store }) => {
  const revision = await store.currentRevision();
  return linesAt(store, revision, signal);
};

async function* linesAt(
  store: Store,
  revision: number,
  signal: AbortSignal,
): AsyncGenerator<readonly Uint8Array[], void, undefined> {
  let lines: string[] = [];
  let entries = 0;
  for await (const { key, value } of everything(store, revision, signal)) {
    lines.push(`${JSON.stringify({ key, value })}\n`);
    entries++;
    if (lines.length < SNAPSHOT_LINES) continue;
    yield [Buffer.from(lines.join(""))];
    lines = [];
  }
  lines.push(`${JSON.stringify({ entries, revision })}\n`);
  yield [Buffer.from(lines.join(""))];
}
