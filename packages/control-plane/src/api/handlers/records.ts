/** Events for people and the audit record for auditors. */

import { type AuditEntry, CLUSTER_SCOPE, keys } from "@berth/protocol";
import { environmentOf } from "../../state/cluster-tables.ts";
import type { Handler } from "../handler.ts";
import { integerOf, pageLimitOf, pageOf } from "../paging.ts";

export const listEvents: Handler<"listEvents"> = ({ params, query }, { state: { view } }) => {
  const since = integerOf("since", query.since) ?? 0;
  const events = view.events
    .by("environment", environmentOf(params))
    .filter(
      ({ value: event }) =>
        event.at >= since &&
        (query.stack === undefined || event.stack === query.stack) &&
        (query.service === undefined || event.service === query.service),
    );
  return pageOf(events, query, ({ value }) => value);
};

export const listClusterEvents: Handler<"listClusterEvents"> = ({ query }, { state: { view } }) => {
  const scope = { project: CLUSTER_SCOPE, environment: CLUSTER_SCOPE };
  return pageOf(view.events.by("environment", environmentOf(scope)), query, ({ value }) => value);
};

/** Read from the store page by page: the record is not held in memory. */
export const listAudit: Handler<"listAudit"> = async ({ query, signal }, { store }) => {
  const prefix = keys.audit("");
  const limit = pageLimitOf(query.limit);
  const since = integerOf("since", query.since);
  // Keys begin with the time: `since` is where the list begins.
  const begin = since === undefined ? undefined : prefix + String(since).padStart(15, "0");
  const after = query.after ?? begin;
  const page = await store.list(prefix, {
    limit,
    signal,
    ...(after === undefined ? {} : { after }),
  });
  const items = page.entries.map(({ value }) => JSON.parse(value) as AuditEntry);
  const last = page.entries.at(-1);
  return { items, ...(page.more && last !== undefined ? { next: last.key } : {}) };
};
