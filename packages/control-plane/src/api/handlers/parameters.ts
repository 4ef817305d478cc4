/**
 * Parameters of stacks. Values lie sealed under the key that they stand under, and leave the server only in the
 * answer to a deploy that asks for them, and to an administrator who asks to see them.
 *
 * They outlive their stack as its volumes do: a database that is deployed again over its old volume needs the old
 * password.
 */

import {
  keys,
  ProtocolError,
  STACK_PARAMETERS_MAX,
  type StackParameter,
  type StackScope,
  stackKey,
} from "@berth/protocol";
import { type KeptParameter, resolveParameters as resolve } from "../../parameters/resolve.ts";
import type { Compare, Operation } from "../../store/port.ts";
import { COMMIT_ATTEMPTS_MAX } from "../commit.ts";
import type { ApiContext, Handler } from "../handler.ts";

interface StoredParameter {
  readonly parameter: KeptParameter;
  readonly revision: number;
}

type Kept = ReadonlyMap<string, StoredParameter>;

export const resolveParameters: Handler<"resolveParameters"> = async (request, context) => {
  const { params, body, signal } = request;
  for (let attempt = 1; attempt <= COMMIT_ATTEMPTS_MAX; attempt++) {
    const kept = await keptOf(context, params, signal);
    const { toKeep, ...answer } = resolve({
      wishes: body.wishes,
      kept: new Map([...kept].map(([name, { parameter }]) => [name, parameter])),
      chance: (count) => context.secrets.randomBytes(count),
      now: context.clock.now(),
    });
    if (body.dryRun === true || toKeep.size === 0) return answer;
    checkCount(new Set([...kept.keys(), ...toKeep.keys()]).size);
    if (await keep(context, params, { kept, toKeep })) return answer;
  }
  throw new ProtocolError("conflict", "others keep changing the parameters of this stack", {
    limit: "attempts",
    maximum: COMMIT_ATTEMPTS_MAX,
  });
};

function checkCount(count: number): void {
  if (count <= STACK_PARAMETERS_MAX) return;
  const details = { limit: "parameters", value: count, maximum: STACK_PARAMETERS_MAX };
  const message = `at most ${STACK_PARAMETERS_MAX} parameters are kept for a stack; berth stack parameters --forget removes what no file asks for any more`;
  throw new ProtocolError("limit_exceeded", message, details);
}

/** False when somebody else was faster: two first deploys at once must agree on one password. */
async function keep(
  { store, secrets }: Pick<ApiContext, "store" | "secrets">,
  scope: StackScope,
  { kept, toKeep }: { readonly kept: Kept; readonly toKeep: ReadonlyMap<string, KeptParameter> },
): Promise<boolean> {
  const compare: Compare[] = [];
  const then: Operation[] = [];
  for (const [name, parameter] of toKeep) {
    const key = keys.parameter(scope, name);
    const value = kept.get(name)?.revision ?? 0;
    compare.push({ key, target: "modRevision", op: "=", value });
    const content = Buffer.from(JSON.stringify(parameter));
    then.push({ kind: "put", key, value: secrets.seal(content, key) });
  }
  return (await store.txn({ compare, then })).succeeded;
}

async function keptOf(
  { store, secrets }: Pick<ApiContext, "store" | "secrets">,
  scope: StackScope,
  signal: AbortSignal,
): Promise<Kept> {
  const prefix = keys.parameter(scope, "");
  const { entries } = await store.list(prefix, { limit: STACK_PARAMETERS_MAX, signal });
  return new Map(
    entries.map(({ key, value, modRevision }) => {
      const text = Buffer.from(secrets.open(value, key)).toString("utf8");
      const parameter = JSON.parse(text) as KeptParameter;
      return [decodeURIComponent(key.slice(prefix.length)), { parameter, revision: modRevision }];
    }),
  );
}

function viewOf(name: string, { source, secret, updatedAt }: KeptParameter): StackParameter {
  return { name, source, secret, updatedAt };
}

export const listParameters: Handler<"listParameters"> = async ({ params, signal }, context) => {
  const kept = await keptOf(context, params, signal);
  return { items: [...kept].map(([name, { parameter }]) => viewOf(name, parameter)) };
};

export const showParameters: Handler<"showParameters"> = async ({ params, signal }, context) => {
  const kept = await keptOf(context, params, signal);
  return {
    items: [...kept].map(([name, { parameter }]) => ({
      ...viewOf(name, parameter),
      value: parameter.value,
    })),
  };
};

export const forgetParameter: Handler<"forgetParameter"> = async (request, context) => {
  const { params, signal } = request;
  const found = (await keptOf(context, params, signal)).get(params.parameter);
  if (found === undefined) {
    const message = `nothing is kept for ${stackKey(params)} under ${params.parameter}`;
    throw new ProtocolError("not_found", message);
  }
  const key = keys.parameter(params, params.parameter);
  await context.store.txn({ compare: [], then: [{ kind: "delete", key }] });
  return viewOf(params.parameter, found.parameter);
};
