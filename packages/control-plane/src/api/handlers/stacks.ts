/** Stacks: deploy, roll back, scale, restart, remove; and what there is to read of them. */

import { type Deployment, keys, ProtocolError, type StackScope, stackKey } from "@berth/protocol";
import { acceptDeployment } from "../../release/accept-deployment.ts";
import { type Decision, refusalError } from "../../release/refusal.ts";
import {
  removeStack as decideRemoval,
  restartService as decideRestart,
  rollbackStack as decideRollback,
  scaleService as decideScale,
} from "../../release/stack-commands.ts";
import type { ClusterView } from "../../state/cluster-tables.ts";
import { commitDecision } from "../commit.ts";
import type { Handler } from "../handler.ts";
import { pageOf } from "../paging.ts";
import { storeSecrets, versionsOf } from "../secret-versions.ts";
import { takeExternal } from "../take-external.ts";

export const deployStack: Handler<"deployStack"> = async (request, context) => {
  const { params, body, actor, signal } = request;
  const taken = await takeExternal(context, body.spec, { scope: params, signal });
  const { spec, problems } = taken;
  const secrets = versionsOf(context, params, taken.secrets);
  const id = context.newId();
  const now = context.clock.now();
  const wanted = { scope: params, spec, secrets, problems, actor: actor.name, now, id };
  const decide = (view: ClusterView): Decision<Deployment> =>
    acceptDeployment(view, wanted, context.settings);
  // Looked at before secrets are stored, so that a refusal leaves nothing behind.
  const first = decide(context.state.view);
  if (first.kind === "refused") throw refusalError(first);
  await storeSecrets(context, params, taken.secrets);
  for (const content of taken.configContents) await context.blobs.add(content, { signal });
  return commitDecision(
    context,
    request,
    { route: "deployStack", matched: (view) => view.stacks.get(keys.stack(params)) },
    decide,
  );
};

export const rollbackStack: Handler<"rollbackStack"> = (request, context) => {
  const { params, body } = request;
  const now = context.clock.now();
  const { release } = body;
  return commitDecision(
    context,
    request,
    { route: "rollbackStack", matched: (view) => view.stacks.get(keys.stack(params)) },
    (view) =>
      decideRollback(view, {
        scope: params,
        now,
        ...(release === undefined ? {} : { release }),
      }),
  );
};

export const restartService: Handler<"restartService"> = (request, context) =>
  commitDecision(
    context,
    request,
    {
      route: "restartService",
      matched: (view) => view.stacks.get(keys.stack(request.params)),
    },
    (view) => decideRestart(view, request.params),
  );

export const scaleService: Handler<"scaleService"> = (request, context) => {
  const { params, body } = request;
  return commitDecision(
    context,
    request,
    { route: "scaleService", matched: (view) => view.scales.get(keys.scale(params)) },
    (view) => decideScale(view, { scope: params, copies: body.copies, source: "user" }),
  );
};

export const removeStack: Handler<"removeStack"> = (request, context) => {
  const { params, query } = request;
  const now = context.clock.now();
  const volumes = (query.volumes ?? "").split(",").filter((name) => name !== "");
  return commitDecision(
    context,
    request,
    { route: "removeStack", matched: (view) => view.stacks.get(keys.stack(params)) },
    (view) => decideRemoval(view, { scope: params, volumes, now }),
  );
};

export const getDeployment: Handler<"getDeployment"> = ({ params }, { state: { view } }) => {
  const found = view.deployments.get(keys.deployment(params, params.deployment));
  if (found !== undefined) return found.value;
  throw new ProtocolError("not_found", `there is no deployment ${params.deployment}`);
};

export const listReleases: Handler<"listReleases"> = ({ params, query }, { state: { view } }) => {
  const releases = view.releases.by("stack", stackKey(params));
  if (releases.length === 0) throw noStack(params);
  // Newest first: a page goes on before the last number of the page before.
  const before = query.after;
  const newestFirst = releases
    .toReversed()
    .filter(({ key }) => before === undefined || key < before);
  const { after: _, ...rest } = query;
  return pageOf(newestFirst, rest, ({ value }) => value);
};

export const getRelease: Handler<"getRelease"> = ({ params }, { state: { view } }) => {
  const found = view.releases.get(keys.release(params, Number(params.release)));
  if (found !== undefined) return found.value;
  const message = `stack ${stackKey(params)} has no release ${params.release} (any more)`;
  throw new ProtocolError("not_found", message);
};

function noStack(scope: StackScope): ProtocolError {
  return new ProtocolError("not_found", `there is no stack ${stackKey(scope)}`);
}
