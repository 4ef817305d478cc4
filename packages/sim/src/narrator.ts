/**
 * Tells the run: turns commits and what containers do into lines of the trace, and counts what was seen,
 * so that a run can say what it covered.
 */

import { LABEL_ATTEMPT, LABEL_TASK } from "@berth/agent/runtime/port";
import type { Node, Stack, Task, TaskStatus } from "@berth/protocol";
import type { ContainerEvent } from "./machine.ts";
import type { StoreFacts } from "./store-facts.ts";
import type { Written } from "./store-journal.ts";
import type { Trace } from "./trace.ts";

export class Narrator {
  /** How often each thing was seen: `state running`, `rollout rolled-back`, `verdict lost` ... */
  readonly seen = new Map<string, number>();
  commits = 0;
  tasks = 0;
  readonly #trace: Trace;

  constructor(trace: Trace) {
    this.#trace = trace;
  }

  commit(written: readonly Written[]): void {
    this.commits++;
    for (const each of written) this.#tell(each);
  }

  container({ machine, container, kind }: ContainerEvent, facts: StoreFacts): void {
    const { labels } = container.request;
    const id = labels[LABEL_TASK] ?? "";
    const name = `${nameOf(facts.taskOf(id), id)} a${labels[LABEL_ATTEMPT]}`;
    if (kind === "started") this.#trace.note(machine, "C+", name);
    if (kind === "exited") {
      const { exitCode, oomKilled } = container.state();
      this.#trace.note(
        machine,
        "C-",
        `${name} ${oomKilled ? "out of memory" : `code ${exitCode}`}`,
      );
    }
  }

  see(what: string): void {
    this.seen.set(what, (this.seen.get(what) ?? 0) + 1);
  }

  #tell(written: Written): void {
    const { kind } = written;
    const isGone = written.value === undefined;
    if (kind === "task") this.#task(written.now(), written.before());
    if (kind === "stack") this.#stack(written.now(), written.before());
    if (kind === "status" && !isGone) {
      this.#status(written.now<TaskStatus>() as TaskStatus, written.before());
    }
    if (kind === "node" && !isGone) this.#node(written.now<Node>() as Node, written.before());
  }

  #task(now: Task | undefined, before: Task | undefined): void {
    const task = now ?? before;
    if (task === undefined) return;
    const name = nameOf(task, task.id);
    if (now === undefined) this.#trace.note("server", "T-", name);
    else if (before === undefined) {
      this.tasks++;
      this.#trace.note("server", "T+", `${name} r${now.release} on ${now.node}`);
    } else {
      const { verdict, desired, stopReason = "" } = now;
      const given = verdict !== undefined && before.verdict === undefined;
      if (!given && desired === before.desired) return;
      if (given) this.see(`verdict ${verdict.kind}`);
      if (desired !== before.desired) this.see(`stopped because ${withoutNames(stopReason)}`);
      const why = given ? `${verdict.kind}: ${verdict.reason}` : stopReason;
      this.#trace.note("server", "T~", `${name} ${why}`);
    }
  }

  #status(now: TaskStatus, before: TaskStatus | undefined): void {
    const isSame =
      before?.state === now.state && before.attempt === now.attempt && before.ready === now.ready;
    if (isSame) return;
    this.see(`state ${now.state}`);
    if (now.outcome !== undefined) this.see(`outcome ${now.outcome}`);
    const ready = now.ready ? "+" : "";
    const ended = now.outcome === undefined ? "" : ` ${now.outcome}`;
    const code = now.exitCode === undefined ? "" : ` code ${now.exitCode}`;
    const text = `${now.task.slice(0, 4)} a${now.attempt} ${now.state}${ready}${ended}${code}`;
    this.#trace.note(now.node, "T ", text);
  }

  #stack(now: Stack | undefined, before: Stack | undefined): void {
    if (now === undefined) {
      this.see("stack removed");
      this.#trace.note("server", "R ", `${before?.stack} is gone`);
      return;
    }
    const { rollout, release, deleting, stack } = now;
    const isSame =
      before?.rollout?.state === rollout?.state &&
      before?.release === release &&
      before.deleting?.at === deleting?.at;
    if (isSame) return;
    const state = deleting === undefined ? (rollout?.state ?? "new") : "being removed";
    this.see(`rollout ${state}`);
    const why = rollout?.failure === undefined ? "" : `: ${rollout.failure.reason}`;
    this.#trace.note("server", "R ", `${stack} r${release} ${state}${why}`);
  }

  #node(now: Node, before: Node | undefined): void {
    if (before?.contact === now.contact) return;
    this.see(`node ${now.contact}`);
    this.#trace.note("server", "N ", `${now.name} ${now.contact}`);
  }
}

function nameOf(task: Task | undefined, id: string): string {
  const short = id.slice(0, 4);
  return task === undefined ? short : `${task.stack}/${task.service}.${task.slot} ${short}`;
}

/** The reason without the host that it names. */
function withoutNames(reason: string): string {
  return reason.replaceAll(/\bn\d+\b/g, "a node");
}
