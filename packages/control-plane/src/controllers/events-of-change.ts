/** Which changes of the state people want to hear of, and in which words. Pure. */

import { formatDuration } from "@berth/base";
import { CLUSTER_SCOPE, type Event, type Rollout, taskName } from "@berth/protocol";
import { exitWords } from "../reconcile/waits.ts";
import type { Change } from "../state/cluster-state.ts";
import type { ClusterView, Held } from "../state/cluster-tables.ts";

/** An event before it has its identity. */
export type EventDraft = Omit<Event, "id" | "at">;

/** Events of one change; none for what was there already when the server started. */
export function eventsOfChange(change: Change, view: ClusterView): EventDraft[] {
  if (change.entity === undefined) return [];
  const now = change.entity.value;
  const before = change.previous?.value;
  switch (change.kind) {
    case "stack":
      return stackEvents(now as Held["stack"], before as Held["stack"] | undefined);
    case "status":
      return statusEvents(now as Held["status"], before as Held["status"] | undefined, view);
    case "node":
      return nodeEvents(now as Held["node"], before as Held["node"] | undefined);
    case "deployment":
      return deploymentEvents(now as Held["deployment"], before as Held["deployment"] | undefined);
    case "task":
      return taskEvents(now as Held["task"], before as Held["task"] | undefined);
    case "certificate":
      return certificateEvents(
        now as Held["certificate"],
        before as Held["certificate"] | undefined,
      );
    default:
      return [];
  }
}

const ROLLOUT_WORDS: Readonly<
  Record<Rollout["state"], { readonly level: EventDraft["level"]; readonly words: string }>
> = {
  progressing: { level: "info", words: "rollout began" },
  complete: { level: "info", words: "rollout is complete" },
  "rolling-back": { level: "error", words: "rollout failed and is rolled back" },
  "rolled-back": { level: "warning", words: "rollout was rolled back" },
  failed: { level: "error", words: "rollout failed" },
  paused: { level: "error", words: "rollout failed and waits for a person" },
};

function stackEvents(stack: Held["stack"], before: Held["stack"] | undefined): EventDraft[] {
  const { rollout } = stack;
  const scope = { project: stack.project, environment: stack.environment, stack: stack.stack };
  if (stack.deleting !== undefined && before !== undefined && before.deleting === undefined) {
    return [
      { ...scope, level: "info", reason: "stack_removing", message: "stack is being removed" },
    ];
  }
  // Without a version before, the server has just started or the stack is new: only news is told.
  const known = before?.rollout;
  const isNew = before === undefined && rollout?.state === "progressing";
  if (rollout === undefined || (before === undefined && !isNew)) return [];
  if (known?.state === rollout.state && known.release === rollout.release) return [];
  const { level, words } = ROLLOUT_WORDS[rollout.state];
  const failure = rollout.failure === undefined ? "" : `: ${rollout.failure.reason}`;
  const message = `release ${rollout.release}: ${words}${failure}`;
  return [{ ...scope, level, reason: `rollout_${rollout.state.replace("-", "_")}`, message }];
}

function statusEvents(
  status: Held["status"],
  before: Held["status"] | undefined,
  view: ClusterView,
): EventDraft[] {
  if (before === undefined || status.recentFailures <= before.recentFailures) return [];
  const [task] = view.tasks.by("id", status.task);
  if (task === undefined) return [];
  const { project, environment, stack, service } = task.value;
  const detail = status.message === undefined ? "" : `: ${status.message}`;
  const message = `${taskName(task.value)} on ${status.node} exited ${exitWords(status)}${detail}`;
  const where = { project, environment, stack, service, task: status.task, node: status.node };
  return [{ ...where, level: "warning", reason: "task_exited", message }];
}

function deploymentEvents(
  deployment: Held["deployment"],
  before: Held["deployment"] | undefined,
): EventDraft[] {
  const { project, environment, stack, id, state, error } = deployment;
  if (state !== "failed" || before === undefined || before.state === "failed") return [];
  const message = `deployment ${id} failed: ${error?.message ?? "no reason given"}`;
  return [{ project, environment, stack, level: "error", reason: "deployment_failed", message }];
}

function nodeEvents(node: Held["node"], before: Held["node"] | undefined): EventDraft[] {
  const scope = { project: CLUSTER_SCOPE, environment: CLUSTER_SCOPE, node: node.name };
  if (before === undefined) return [];
  return [
    ...contactEvents(node, before, scope),
    ...heldBackEvents(node, before, scope),
    ...fenceEvents(node, before, scope),
  ];
}

function fenceEvents(
  { name, fence, silentForMs }: Held["node"],
  before: Held["node"],
  scope: NodeScope,
): EventDraft[] {
  const drafts: EventDraft[] = [];
  if (silentForMs !== undefined && silentForMs !== before.silentForMs) {
    const message = `${name} is silent for ${formatDuration(silentForMs)}: copies with failover: fence have ended there by themselves`;
    drafts.push({ ...scope, level: "warning", reason: "node_isolated", message });
  }
  if (fence === undefined || JSON.stringify(fence) === JSON.stringify(before.fence)) return drafts;
  const said = fence.message === undefined ? "" : `: ${fence.message}`;
  switch (fence.state) {
    case "running": {
      const message = `the fence hook runs for ${name} (attempt ${fence.attempts})`;
      return [...drafts, { ...scope, level: "warning", reason: "node_fencing", message }];
    }
    case "failed": {
      const message = `the fence hook could not fence ${name} (attempt ${fence.attempts})${said}`;
      return [...drafts, { ...scope, level: "error", reason: "node_fence_failed", message }];
    }
    case "done": {
      const by = fence.by === "hook" ? "by its hook" : `by the word of ${fence.who ?? "a person"}`;
      const message = `${name} is fenced ${by}${said}: copies that only one may run of move`;
      return [...drafts, { ...scope, level: "warning", reason: "node_fenced", message }];
    }
  }
}

type NodeScope = Pick<EventDraft, "project" | "environment" | "node">;

function heldBackEvents(node: Held["node"], before: Held["node"], scope: NodeScope): EventDraft[] {
  const { name, heldBackUntil, silences = [] } = node;
  if (heldBackUntil !== undefined && heldBackUntil !== before.heldBackUntil) {
    const until = new Date(heldBackUntil).toISOString();
    const message = `${name} fell silent ${silences.length} times within a short time: nothing new is placed on it while another node has room, until ${until} if it stays in contact; berth node uncordon ${name} ends that`;
    return [{ ...scope, level: "warning", reason: "node_held_back", message }];
  }
  if (heldBackUntil !== undefined || before.heldBackUntil === undefined) return [];
  const message = `${name} takes new copies again`;
  return [{ ...scope, level: "info", reason: "node_trusted", message }];
}

function contactEvents(node: Held["node"], before: Held["node"], scope: NodeScope): EventDraft[] {
  if (before.contact === node.contact) return [];
  if (node.contact === "up") {
    const message = `${node.name} is in contact again`;
    return [{ ...scope, level: "info", reason: "node_up", message }];
  }
  const message = `${node.name} is silent for longer than its lease`;
  return [{ ...scope, level: "error", reason: "node_down", message }];
}

function taskEvents(task: Held["task"], before: Held["task"] | undefined): EventDraft[] {
  return [...pauseEvents(task, before), ...verdictEvents(task, before)];
}

function pauseEvents(task: Held["task"], before: Held["task"] | undefined): EventDraft[] {
  const { project, environment, stack, service, id, node, paused } = task;
  if (before === undefined || (paused === undefined) === (before.paused === undefined)) return [];
  const where = { project, environment, stack, service, task: id, node };
  const name = taskName(task);
  if (paused === undefined) {
    return [{ ...where, level: "info", reason: "task_resumed", message: `${name} is resumed` }];
  }
  const why = paused.reason === undefined ? "" : `: ${paused.reason}`;
  const message = `${name} was taken out of service by ${paused.by}${why}`;
  return [{ ...where, level: "info", reason: "task_paused", message }];
}

function verdictEvents(task: Held["task"], before: Held["task"] | undefined): EventDraft[] {
  if (task.verdict === undefined || before === undefined || before.verdict !== undefined) return [];
  const { project, environment, stack, service, id, node } = task;
  const message = `${taskName(task)} was given up: ${task.verdict.reason}`;
  const where = { project, environment, stack, service, task: id, node };
  return [{ ...where, level: "warning", reason: `task_${task.verdict.kind}`, message }];
}

/** A new one, a failed attempt, an age that should not be: what an operator acts on. */
function certificateEvents(
  certificate: Held["certificate"],
  before: Held["certificate"] | undefined,
): EventDraft[] {
  if (before === undefined) return [];
  const { project, environment, name, current, source, lastError, state } = certificate;
  const scope = { project, environment };
  const until = current === undefined ? "" : new Date(current.notAfter).toISOString();
  const drafts: EventDraft[] = [];
  const isNew = current !== undefined && current.version !== before.current?.version;
  if (isNew && current.source === source) {
    const message = `certificate ${name}: a new one by ${current.issuer}, until ${until}`;
    drafts.push({ ...scope, level: "info", reason: "certificate_issued", message });
  }
  if (certificate.failuresInRow > before.failuresInRow) {
    const message = `certificate ${name}: ${lastError?.step ?? "order"} failed: ${lastError?.message ?? ""}`;
    drafts.push({ ...scope, level: "error", reason: "certificate_failed", message });
  }
  if (state === before.state) return drafts;
  if (state === "expiring") {
    const message = `certificate ${name} expires at ${until} and was not replaced yet`;
    drafts.push({ ...scope, level: "warning", reason: "certificate_expiring", message });
  }
  if (state === "expired") {
    const message = `certificate ${name} expired at ${until}: clients refuse it`;
    drafts.push({ ...scope, level: "error", reason: "certificate_expired", message });
  }
  return drafts;
}
