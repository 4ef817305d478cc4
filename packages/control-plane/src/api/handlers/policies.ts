/** What a project's stack files may ask of their hosts: shown to its users, set by administrators. */

import { GRANTS, type Grant, keys, type PolicyView, type ProjectPolicy } from "@berth/protocol";
import { quotaUse } from "../../plan/project-quota.ts";
import { grantedTo, grantsOf } from "../../release/policy.ts";
import { accept, unchangedSince } from "../../release/refusal.ts";
import { encode } from "../../state/decode.ts";
import { commitDecision } from "../commit.ts";
import type { ApiContext, Handler } from "../handler.ts";

export const getPolicy: Handler<"getPolicy"> = ({ params }, context) => {
  const row = context.state.view.policies.get(keys.policy(params.project));
  return viewOf(row?.value ?? { project: params.project, allow: [] }, context);
};

export const putPolicy: Handler<"putPolicy"> = async (request, context) => {
  const { project } = request.params;
  const key = keys.policy(project);
  const wanted = new Set<Grant>(request.body.allow);
  const { strategy, quota, weights, overcommit } = request.body;
  const value: ProjectPolicy = {
    ...{ project, allow: inOrder(wanted) },
    ...(strategy === undefined ? {} : { strategy }),
    ...(isEmpty(weights) ? {} : { weights }),
    ...(isEmpty(overcommit) ? {} : { overcommit }),
    ...(quota === undefined || Object.keys(quota).length === 0 ? {} : { quota }),
  };
  const written = await commitDecision(
    context,
    request,
    { route: "putPolicy", matched: (view) => view.policies.get(key) },
    (view) =>
      accept(
        value,
        [unchangedSince(key, view.policies.get(key)?.revision)],
        [{ kind: "put", key, value: encode(value) }],
      ),
  );
  return viewOf(written, context);
};

function viewOf(
  policy: ProjectPolicy,
  { settings, state }: Pick<ApiContext, "settings" | "state">,
): PolicyView {
  const used = quotaUse(state.view, policy.project, policy.quota);
  return { ...policy, used, everywhere: inOrder(grantedTo(grantsOf(settings.policy), [])) };
}

function isEmpty(record: object | undefined): record is undefined {
  return record === undefined || Object.keys(record).length === 0;
}

/** As the table has them. */
function inOrder(grants: ReadonlySet<Grant>): Grant[] {
  return (Object.keys(GRANTS) as Grant[]).filter((grant) => grants.has(grant));
}
