/** The ACME server of an environment or of the cluster: set by administrators, contacted by the controller. */

import { isIP } from "node:net";
import { isAbsolute } from "node:path";
import { type AcmeInput, type AcmeSettings, keys, ProtocolError } from "@berth/protocol";
import { ensureAccountKey, externalKey } from "../../certificates/acme-accounts.ts";
import { acmeFor } from "../../certificates/automatic.ts";
import { hostProblem, plainHost } from "../../certificates/host-names.ts";
import { bundleProblem } from "../../certificates/read-certificate.ts";
import { Vault } from "../../certificates/vault.ts";
import { accept, refuse, unchangedSince } from "../../release/refusal.ts";
import { encode } from "../../state/decode.ts";
import { commitDecision } from "../commit.ts";
import type { Handler } from "../handler.ts";
import { scopeOf } from "./certificates.ts";

export const getAcme: Handler<"getAcme"> = (request, { state }) => {
  const scope = scopeOf(request);
  const found = acmeFor(state.view, scope);
  if (found !== undefined) return found;
  const advice = "berth acme set --directory URL --email ADDRESS";
  const message = "no ACME server is set: nothing outside is contacted";
  throw new ProtocolError("not_found", message, { advice });
};

export const setAcme: Handler<"setAcme"> = async (request, context) => {
  const { body } = request;
  const scope = scopeOf(request);
  const problems = problemsOf(body);
  const [first, second] = problems;
  if (second !== undefined) {
    throw new ProtocolError("invalid_request", "the settings cannot work", { problems });
  }
  if (first !== undefined) throw new ProtocolError("invalid_request", first);
  const vault = new Vault({ box: context.secrets, store: context.store });
  const thumbprint = await ensureAccountKey(context.store, vault);
  const { externalAccount, ...fields } = body;
  const value: AcmeSettings = {
    ...scope,
    ...fields,
    ...(externalAccount === undefined ? {} : { externalAccountKeyId: externalAccount.keyId }),
    thumbprint,
    setAt: context.clock.now(),
  };
  const key = keys.acme(scope);
  const secret = externalKey(scope);
  const external =
    externalAccount === undefined
      ? ({ kind: "delete", key: secret } as const)
      : vault.put(secret, externalAccount.key);
  return commitDecision(context, request, { route: "setAcme" }, (view) =>
    accept(
      value,
      [unchangedSince(key, view.acme.get(key)?.revision)],
      [{ kind: "put", key, value: encode(value) }, external],
    ),
  );
};

export const removeAcme: Handler<"removeAcme"> = (request, context) => {
  const scope = scopeOf(request);
  const key = keys.acme(scope);
  return commitDecision(context, request, { route: "removeAcme" }, (view) => {
    const known = view.acme.get(key);
    if (known === undefined) return refuse("not_found", "no ACME server is set here");
    return accept(
      known.value,
      [unchangedSince(key, known.revision)],
      [
        { kind: "delete", key },
        { kind: "delete", key: externalKey(scope) },
      ],
    );
  });
};

/** What the schema cannot say. */
function problemsOf(input: AcmeInput): string[] {
  const problems: string[] = [];
  const [program] = input.hook ?? [];
  if (input.challenge === "dns-01" && program === undefined) {
    problems.push("dns-01 needs a hook that makes the record (--hook)");
  }
  if (program !== undefined && !isAbsolute(program)) {
    problems.push(`the hook ${program} is not an absolute path on the server's machine`);
  }
  for (const host of input.only ?? []) {
    const problem = hostProblem(plainHost(host));
    if (problem !== undefined) problems.push(problem);
  }
  for (const text of input.dnsServers ?? []) {
    const [address = "", port = "53"] = text.split("#");
    const isAddress = isIP(address.replace(/^\[|\]$/g, "")) !== 0;
    const number = Number(port);
    if (!isAddress || !Number.isInteger(number) || number < 1 || number > 65_535) {
      problems.push(`${text} is no address with an optional #port, like 10.0.0.53#5353`);
    }
  }
  const bundle = input.caBundle === undefined ? undefined : bundleProblem(input.caBundle);
  if (bundle !== undefined) problems.push(bundle);
  return problems;
}
