/** Follows a certificate until it is issued or has failed, and shows each step of its order once. */

import { type ApiClient, type Certificate, keys, ProtocolError } from "@berth/protocol";
import type { Output } from "../output/output.ts";
import { stepLine } from "./certificate-lines.ts";

export interface FollowOptions {
  readonly api: Pick<ApiClient, "call">;
  readonly output: Output;
  readonly signal: AbortSignal;
  /** As it was when the wish was written. */
  readonly wished: Certificate;
}

/** The certificate when it is there. @throws ProtocolError with the failed step and what to do. */
export async function followOrder(options: FollowOptions): Promise<Certificate> {
  const { api, output, signal, wished } = options;
  const { project, environment, name } = wished;
  const key = keys.certificate(wished, name);
  const end = new AbortController();
  const either = AbortSignal.any([signal, end.signal]);
  const body = { selectors: [{ kind: "certificate" as const, project, environment }] };
  const shown = new Set<string>();
  try {
    for await (const event of await api.call("watch", { params: {}, body, signal: either })) {
      if (event.type === "delete" && event.key === key) throw removed(name);
      if (event.type !== "put" || event.key !== key) continue;
      const now = event.value as Certificate;
      showSteps(now, wished, shown, output);
      if (isIssued(now, wished)) return now;
      if (now.failuresInRow > wished.failuresInRow) throw failureOf(now);
    }
  } finally {
    end.abort();
  }
  throw new ProtocolError("unavailable", "the server closed the stream");
}

function isIssued(now: Certificate, wished: Certificate): boolean {
  const { current, source } = now;
  if (current === undefined || current.source !== source) return false;
  if (now.renewRequestedAt !== undefined) return false;
  if (now.hosts.some((host) => !current.hosts.includes(host))) return false;
  return wished.renewRequestedAt === undefined || current.version !== wished.current?.version;
}

function showSteps(
  now: Certificate,
  wished: Certificate,
  shown: Set<string>,
  output: Output,
): void {
  const { order } = now;
  if (output.json || order === undefined || order.id === doneOrder(wished)) return;
  for (const step of order.steps) {
    const words = `${step.kind} ${step.host ?? ""} ${step.outcome}`;
    // What is waited for is said once, however often it is looked at.
    const mark = step.outcome === "waiting" ? words : `${words} ${step.at}`;
    if (shown.has(mark)) continue;
    shown.add(mark);
    output.note(stepLine(step, output.paint));
  }
}

/** Steps of an order that was over before are no news. */
function doneOrder({ order }: Certificate): string | undefined {
  return order?.state === "done" || order?.state === "failed" ? order.id : undefined;
}

function failureOf({ name, lastError, nextAttemptAt }: Certificate): ProtocolError {
  const again =
    nextAttemptAt === undefined
      ? ""
      : ` It is tried again at ${new Date(nextAttemptAt).toISOString()}.`;
  const message = `${name} could not be had: ${lastError?.message ?? "no reason was given"}`;
  const advice = `${lastError?.advice ?? "berth certificate show tells every step"}.${again}`;
  return new ProtocolError("invalid_certificate", message, { advice });
}

function removed(name: string): ProtocolError {
  return new ProtocolError("not_found", `certificate ${name} was removed meanwhile`);
}
