/**
 * Keeps every route with TLS served with a certificate of its own that is in time: makes automatic ones,
 * issues from the cluster's authority, takes ACME orders forward, renews, lets go.
 *
 * One loop; it looks at state and `now`, a wake-up carries nothing. A round takes each certificate forward
 * until it has to wait, a few at a time; a slow hook of one holds the next round up, not the data plane.
 *
 * Design page: docs/design/certificates.md
 */

import { type Loop, type LoopResult, MINUTE_MS, type Prng } from "@berth/base";
import type { Certificate } from "@berth/protocol";
import { keys } from "@berth/protocol";
import type { SecretBox } from "../api/secret-box.ts";
import type { ControllerDeps } from "../controllers/deps.ts";
import type { ChangeBatch } from "../state/cluster-state.ts";
import type { HeldKind } from "../state/cluster-tables.ts";
import type { Hook } from "./acme/hook.ts";
import { plainText } from "./acme/problem.ts";
import type { AcmeTransport } from "./acme/transport.ts";
import type { TxtRecords } from "./acme/txt-records.ts";
import { AcmeAccounts } from "./acme-accounts.ts";
import { ensureAuthority, issueFromAuthority } from "./authority.ts";
import { type AutomaticChange, acmeFor, automaticChanges } from "./automatic.ts";
import { certificateAction } from "./certificate-action.ts";
import { attemptPauseMs, nextMoment, stateAt } from "./lifetime.ts";
import type { NodeServing } from "./node-serving.ts";
import { OrderTurn } from "./order-turn.ts";
import { CertificateRecords, installed } from "./records.ts";
import { Vault } from "./vault.ts";

/** The outside world of certificates. */
export interface CertificatePorts {
  /** Seals keys in the store. */
  readonly box: SecretBox;
  readonly transport: AcmeTransport;
  readonly hook: Hook;
  readonly txtRecords: TxtRecords;
}

export interface CertificateControllerOptions {
  readonly deps: ControllerDeps;
  readonly ports: CertificatePorts;
  readonly serving: NodeServing;
  readonly prng: Prng;
  /** Known once the server leads. */
  readonly clusterId: () => string;
}

const WAKING = new Set<HeldKind>(["stack", "release", "certificate", "acme", "authority", "node"]);
/** Changes of a burst (a deployment, a node's arrival) share a round. */
const GATHER_MS = 20;
/** Nothing changes by itself but with time: what is due by then is done by then. */
const PERIOD_MS = 5 * MINUTE_MS;
/** Certificates that are taken forward at once: mostly waiting for others. */
const PARALLEL_MAX = 8;
/** Actions of one certificate in one round: 100 hosts need some hundreds. */
const ACTIONS_MAX = 1_000;

export class CertificateController {
  readonly #options: CertificateControllerOptions;
  readonly #records: CertificateRecords;
  readonly #vault: Vault;
  readonly #accounts: AcmeAccounts;
  readonly #orders: OrderTurn;
  #loop: Loop | undefined;
  #endListening: (() => void) | undefined;

  constructor(options: CertificateControllerOptions) {
    const { deps, ports, serving, prng } = options;
    const { store, state, leadership, clock, ids } = deps;
    this.#options = options;
    this.#vault = new Vault({ box: ports.box, store });
    this.#records = new CertificateRecords({ store, state, leadership, now: () => clock.now() });
    this.#accounts = new AcmeAccounts({
      store,
      state,
      vault: this.#vault,
      transport: ports.transport,
      leadership,
    });
    this.#orders = new OrderTurn({
      state,
      records: this.#records,
      vault: this.#vault,
      accounts: this.#accounts,
      serving,
      ports: { hook: ports.hook, txtRecords: ports.txtRecords, clock },
      clock,
      prng,
      newId: ids.identifier,
    });
  }

  start(): void {
    const { state, driver } = this.#options.deps;
    this.#endListening = state.onChange((batch) => this.#onChange(batch));
    this.#loop = driver.add({
      name: "certificates",
      purpose: "has certificates issued and renewed",
      periodMs: PERIOD_MS,
      gatherMs: GATHER_MS,
      run: (signal) => this.#run(signal),
    });
  }

  async stop(): Promise<void> {
    this.#endListening?.();
    await this.#options.deps.driver.remove("certificates");
  }

  /** A node has said what it serves with: an order may wait for that. */
  wake(): void {
    this.#loop?.wake();
  }

  #onChange(batch: ChangeBatch): void {
    if (batch.changes.some(({ kind }) => WAKING.has(kind))) this.#loop?.wake();
  }

  async #run(signal: AbortSignal): Promise<LoopResult> {
    const { deps, clusterId } = this.#options;
    const { state, clock, store, leadership } = deps;
    const cluster = clusterId();
    const vault = this.#vault;
    await ensureAuthority({ store, vault, cluster, now: clock.now(), leadership: leadership() });
    for (const change of automaticChanges(state.view, clock.now())) await this.#apply(change);
    const names = state.view.certificates.all().map(({ key }) => key);
    const moments: number[] = [];
    let next = 0;
    const worker = async () => {
      for (let key = names[next++]; key !== undefined; key = names[next++]) {
        moments.push(await this.#advance(key, signal));
      }
    };
    await Promise.all(Array.from({ length: PARALLEL_MAX }, worker));
    this.#accounts.forget();
    const soonest = Math.min(...moments);
    return Number.isFinite(soonest) ? { againMs: Math.max(0, soonest - clock.now()) } : undefined;
  }

  async #apply(change: AutomaticChange): Promise<void> {
    const { key, value } = change;
    if (change.kind === "create") await this.#records.create(key, value);
    else if (change.kind === "remove") await this.#records.remove({ ...change, key, value });
    else {
      await this.#records.update(key, ({ unneededSince: _old, ...known }) => ({
        ...known,
        source: value.source,
        ...(value.unneededSince === undefined ? {} : { unneededSince: value.unneededSince }),
      }));
    }
  }

  /** Takes a certificate forward until it has to wait; answers until when. */
  async #advance(key: string, signal: AbortSignal): Promise<number> {
    const { state, clock } = this.#options.deps;
    for (let actions = 0; actions < ACTIONS_MAX; actions++) {
      signal.throwIfAborted();
      const entity = this.#records.get(key);
      if (entity === undefined) return Number.POSITIVE_INFINITY;
      const { value } = entity;
      const now = clock.now();
      const action = certificateAction(value, acmeFor(state.view, value), now);
      switch (action.kind) {
        case "nothing":
          await this.#refresh(key, value, now);
          return nextMoment(value, now);
        case "remove":
          await this.#records.remove(entity);
          break;
        case "issue":
          await this.#issue(key, value, signal);
          break;
        case "begin":
          await this.#orders.begin(key, action.settings);
          break;
        case "blocked":
          await this.#blocked(key, action);
          break;
        case "order": {
          const due = await this.#orders.step(key, signal);
          if (due !== undefined && due > 0) return due;
          break;
        }
      }
    }
    return clock.now();
  }

  async #refresh(key: string, value: Certificate, now: number): Promise<void> {
    if (stateAt(value, now) !== value.state) await this.#records.update(key, (same) => same);
  }

  async #issue(key: string, value: Certificate, signal: AbortSignal): Promise<void> {
    const { state, clock } = this.#options.deps;
    const authority = state.view.authority.get(keys.authority())?.value;
    if (authority === undefined) return;
    const vault = this.#vault;
    const now = clock.now();
    const { facts, pem } = await issueFromAuthority({
      authority,
      vault,
      hosts: value.hosts,
      now,
      signal,
    });
    const { besides } = installed({ certificate: value, facts, pem, vault });
    await this.#records.update(
      key,
      (certificate) => installed({ certificate, facts, pem, vault }).certificate,
      besides,
    );
  }

  async #blocked(
    key: string,
    { message, advice }: { readonly message: string; readonly advice: string },
  ): Promise<void> {
    const at = this.#options.deps.clock.now();
    const pauseMs = (failures: number) => attemptPauseMs(failures, this.#options.prng);
    await this.#records.update(key, ({ renewRequestedAt: _asked, ...certificate }) => {
      const failuresInRow = certificate.failuresInRow + 1;
      const lastError = { at, step: "order", message: plainText(message), advice };
      return {
        ...certificate,
        lastError,
        failuresInRow,
        nextAttemptAt: at + pauseMs(failuresInRow),
      };
    });
  }
}
