/**
 * Raises the level of formats once everybody reads more, and ends a server that reads less than the level.
 *
 * The leader writes the level in a transaction that compares all rows of servers it looked at: a server that came
 * or changed meanwhile makes it look again. A server that came too late for that sees the row before anything that
 * is written after it, and ends. An agent that came too late is refused its next renewal.
 */

import type { Loop } from "@berth/base";
import { FORMAT_LEVEL, keys } from "@berth/protocol";
import type { ControllerDeps } from "../controllers/deps.ts";
import { packUnits, Unit } from "../plan/unit.ts";
import type { ChangeBatch } from "../state/cluster-state.ts";
import type { HeldKind } from "../state/cluster-tables.ts";
import { encode } from "../state/decode.ts";
import { formatLevel, formatTarget } from "./format-standing.ts";

/** Presence rows are not among them: they change each second, and come and go with an address. */
const WAKING = new Set<HeldKind>(["server-address", "node", "node-status", "format"]);
/** Compared rows of one transaction; a cluster has three servers or five. */
const SERVERS_COMPARED_MAX = 100;
/** A server that vanished without a change of another row. */
const PERIOD_MS = 5_000;

export class FormatController {
  readonly #deps: ControllerDeps;
  readonly #own: string | undefined;
  #loop: Loop | undefined;
  #endListening: (() => void) | undefined;

  constructor(deps: ControllerDeps, own: string | undefined) {
    this.#deps = deps;
    this.#own = own;
  }

  start(): void {
    const { state, driver } = this.#deps;
    this.#endListening = state.onChange((batch) => this.#onChange(batch));
    this.#loop = driver.add({
      name: "formats",
      purpose: "lets new formats be written once every server and node reads them",
      periodMs: PERIOD_MS,
      run: (signal) => this.#run(signal),
    });
  }

  async stop(): Promise<void> {
    this.#endListening?.();
    await this.#deps.driver.remove("formats");
  }

  #onChange(batch: ChangeBatch): void {
    // All there is has been reached: nothing that changes can raise it.
    if (formatLevel(this.#deps.state.view) >= FORMAT_LEVEL) return;
    if (batch.changes.some(({ kind }) => WAKING.has(kind))) this.#loop?.wake();
  }

  async #run(signal: AbortSignal): Promise<void> {
    const { state, clock, log, committer, leadership } = this.#deps;
    const { view } = state;
    const level = formatLevel(view);
    if (level >= FORMAT_LEVEL) return;
    const target = formatTarget({ view, own: this.#own });
    if (target <= level) return;
    const unit = new Unit();
    const key = keys.format();
    unit.expect(key, view.formats.get(key)?.revision);
    const servers = [...view.serverAddresses.all(), ...view.servers.all()];
    for (const row of servers.slice(0, SERVERS_COMPARED_MAX)) unit.expect(row.key, row.revision);
    unit.put(key, encode({ level: target, at: clock.now() }));
    const outcome = await committer.commit(packUnits([unit], leadership()), signal);
    if (outcome === "overtaken") this.#loop?.wake();
    else
      log.info("newer formats may be written: everybody reads them", { from: level, to: target });
  }
}
