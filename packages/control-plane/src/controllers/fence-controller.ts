/**
 * Runs the fence hook for silent nodes of which something waits for it, and writes how it went: into the node's
 * row, which people and reconcilers read, and into the audit record, since it is the one thing that this server
 * does to a host without being asked at that moment.
 *
 * Several nodes at once; each run outlives no leadership: its outcome is committed under it, or not at all.
 */

import type { Loop, LoopResult } from "@berth/base";
import { type AuditEntry, keys, type Node } from "@berth/protocol";
import { packUnits, Unit } from "../plan/unit.ts";
import { encode } from "../state/decode.ts";
import type { Entity } from "../state/entity-table.ts";
import type { ControllerDeps } from "./deps.ts";
import { fenceBegins, fenceEnds, fenceRequest, fencesDue } from "./fence-action.ts";
import type { FenceHook, FenceOutcome } from "./fence-port.ts";

/** Hooks that run at once: a rack that lost its power is not fenced host by host. */
const FENCES_AT_ONCE = 8;
/** Outcomes are written again when the row was changed meanwhile by somebody else. */
const COMMITS_MAX = 5;

export class FenceController {
  readonly #deps: ControllerDeps;
  readonly #hook: FenceHook;
  readonly #clusterId: () => string;
  /** Nodes whose hook runs in this life of the server. */
  readonly #active = new Set<string>();
  #stopping = new AbortController();
  #loop: Loop | undefined;
  #endListening: (() => void) | undefined;

  constructor(deps: ControllerDeps, hook: FenceHook, clusterId: () => string) {
    this.#deps = deps;
    this.#hook = hook;
    this.#clusterId = clusterId;
  }

  start(): void {
    const { state, driver } = this.#deps;
    this.#stopping = new AbortController();
    this.#endListening = state.onChange(({ changes }) => {
      if (changes.some(({ kind }) => kind === "node" || kind === "task")) this.#loop?.wake();
    });
    this.#loop = driver.add({
      name: "fencing",
      purpose: "runs the fence hook for dead nodes that copies wait for",
      run: (signal) => this.#run(signal),
    });
  }

  async stop(): Promise<void> {
    this.#endListening?.();
    this.#stopping.abort(new Error("this server stops"));
    await this.#deps.driver.remove("fencing");
  }

  async #run(signal: AbortSignal): Promise<LoopResult> {
    const { state, clock } = this.#deps;
    const now = clock.now();
    const { due, nextAt } = fencesDue(state.view, now, this.#active);
    for (const node of due.slice(0, Math.max(0, FENCES_AT_ONCE - this.#active.size))) {
      const begun = fenceBegins(node.value, now);
      if (!(await this.#write(node, begun, signal))) continue;
      this.#active.add(begun.name);
      void this.#fence(begun, this.#stopping.signal).finally(() => {
        this.#active.delete(begun.name);
        this.#loop?.wake();
      });
    }
    return nextAt === undefined ? undefined : { againMs: Math.max(0, nextAt - clock.now()) };
  }

  async #fence(begun: Node, signal: AbortSignal): Promise<void> {
    const { state, log } = this.#deps;
    const { name: node } = begun;
    try {
      const request = fenceRequest(state.view, this.#clusterId(), begun);
      const outcome = await this.#hook.fence(request, signal);
      log.warn("the fence hook has ended", { node, ...outcome });
      await this.#note(begun, outcome, signal);
    } catch (error) {
      // Whoever leads next runs it again.
      if (!signal.aborted) log.error("the outcome of the fence hook was not kept", { node, error });
    }
  }

  async #note(begun: Node, outcome: FenceOutcome, signal: AbortSignal): Promise<void> {
    const { state, clock } = this.#deps;
    for (let attempt = 0; attempt < COMMITS_MAX; attempt++) {
      const entity = state.view.nodes.get(keys.node(begun.name));
      const next = fenceEnds(entity?.value, begun, outcome, clock.now());
      if (entity === undefined || next === undefined) return;
      if (await this.#write(entity, next, signal)) return;
    }
  }

  /** Writes the row, and what was done into the audit record. False when somebody was faster. */
  async #write(entity: Entity<Node>, next: Node, signal: AbortSignal): Promise<boolean> {
    const { committer, leadership } = this.#deps;
    const unit = new Unit();
    unit.expect(entity.key, entity.revision);
    unit.put(entity.key, encode(next));
    const entry = this.#auditEntry(next);
    unit.put(keys.audit(entry.id), JSON.stringify(entry));
    const outcome = await committer.commit(packUnits([unit], leadership()), signal);
    return outcome === "committed";
  }

  #auditEntry({ name, fence }: Node): AuditEntry {
    const { clock, ids } = this.#deps;
    const at = clock.now();
    const id = ids.identifier();
    const state = fence?.state ?? "running";
    return {
      // The time comes first, as in every entry: the order of keys is the order of writes.
      id: `${String(Math.floor(at)).padStart(15, "0")}-${id}`,
      at,
      actor: "fence hook",
      remoteAddress: "",
      action: `fenceNode ${state}`,
      path: `/v1/nodes/${name}/fence`,
      status: state === "failed" ? 500 : 200,
      requestId: id,
    };
  }
}
