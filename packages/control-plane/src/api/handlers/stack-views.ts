/** What there is to know about a stack: how it stands, what a deploy would do, why it is as it is. */

import { keys, ProtocolError, stackKey } from "@berth/protocol";
import { refusalError } from "../../release/refusal.ts";
import { environmentOf } from "../../state/cluster-tables.ts";
import type { Handler } from "../handler.ts";
import { pageOf } from "../paging.ts";
import { versionsOf } from "../secret-versions.ts";
import { takeExternal } from "../take-external.ts";

export const getStack: Handler<"getStack"> = ({ params }, { state: { view }, control }) => {
  const stack = view.stacks.get(keys.stack(params));
  if (stack !== undefined) return control.viewStack(stack.value);
  throw new ProtocolError("not_found", `there is no stack ${stackKey(params)}`);
};

export const listStacks: Handler<"listStacks"> = ({ params, query }, { state, control }) => {
  const stacks = state.view.stacks.by("environment", environmentOf(params));
  return pageOf(stacks, query, ({ value }) => control.viewStack(value));
};

export const planStack: Handler<"planStack"> = async ({ params, body, signal }, context) => {
  const taken = await takeExternal(context, body.spec, { scope: params, signal });
  const { spec, problems } = taken;
  const secrets = versionsOf(context, params, taken.secrets);
  const now = context.clock.now();
  const planned = context.control.planDeployment({ scope: params, spec, secrets, problems, now });
  if (planned.kind === "refused") throw refusalError(planned);
  return planned.plan;
};

export const explainService: Handler<"explainService"> = ({ params }, { control }) => {
  const explained = control.explain(params);
  if (explained.kind === "refused") throw refusalError(explained);
  return explained.explanation;
};
