/**
 * The cluster's ACME accounts: one key for all of them, made when ACME is first set, so that one thumbprint
 * answers HTTP-01 on every node, for every environment. An account is registered once for each directory;
 * registering the same key again finds the account that it has.
 */

import { type AcmeSettings, keys, ProtocolError } from "@berth/protocol";
import { unchangedSince } from "../release/refusal.ts";
import type { ClusterState } from "../state/cluster-state.ts";
import { encode } from "../state/decode.ts";
import type { Compare, Store } from "../store/port.ts";
import { AcmeSession, thumbprintOf } from "./acme/session.ts";
import type { AcmeTransport } from "./acme/transport.ts";
import { CLUSTER } from "./choose.ts";
import type { Vault } from "./vault.ts";
import { newPrivateKey } from "./x509.ts";

/** Where the account key lies. */
export const ACCOUNT_KEY = keys.sealed(CLUSTER, "acme-account");

/** Where the key of an external account lies. */
export function externalKey(scope: {
  readonly project: string;
  readonly environment: string;
}): string {
  return keys.sealed(scope, "acme-external");
}

export interface AcmeAccountsOptions {
  readonly store: Store;
  readonly state: ClusterState;
  readonly vault: Vault;
  readonly transport: AcmeTransport;
  readonly leadership: () => readonly Compare[];
}

/** A session that can be used, and the account's URL. */
export interface OpenAccount {
  readonly session: AcmeSession;
  readonly account: string;
}

/** The thumbprint of the cluster's account key; makes the key when there is none. */
export async function ensureAccountKey(store: Store, vault: Vault): Promise<string> {
  const known = await vault.find(ACCOUNT_KEY);
  if (known !== undefined) return thumbprintOf(known);
  const absent: Compare = { key: ACCOUNT_KEY, target: "version", op: "=", value: 0 };
  await store.txn({ compare: [absent], then: [vault.put(ACCOUNT_KEY, newPrivateKey())] });
  return thumbprintOf(await vault.open(ACCOUNT_KEY));
}

export class AcmeAccounts {
  readonly #options: AcmeAccountsOptions;
  /** By directory and trust: keeps the directory and nonces from one step to the next. */
  readonly #sessions = new Map<string, AcmeSession>();

  constructor(options: AcmeAccountsOptions) {
    this.#options = options;
  }

  /** A session with a registered account; without one when the order `isOver`. */
  async open(
    settings: AcmeSettings,
    { isOver, signal }: { readonly isOver: boolean; readonly signal: AbortSignal },
  ): Promise<OpenAccount> {
    const session = await this.#session(settings, signal);
    if (isOver) return { session, account: settings.accountUrl ?? "" };
    if (settings.accountUrl !== undefined) return { session, account: settings.accountUrl };
    try {
      const external = await this.#external(settings, signal);
      const account = await session.account({ emails: settings.emails, ...external }, signal);
      await this.#noteAccount(settings, account);
      return { session, account };
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof ProtocolError)) throw error;
      const details = { ...error.details, step: "account" };
      throw new ProtocolError(error.code, error.message, details, { cause: error });
    }
  }

  /** The server does not know the account any more: the next step registers the key again. */
  async forgetAccount(settings: AcmeSettings): Promise<void> {
    await this.#noteAccount(settings, undefined);
  }

  /** Forgets what was learned of servers: at the end of a round, so that nothing grows old. */
  forget(): void {
    this.#sessions.clear();
  }

  async #session(settings: AcmeSettings, signal: AbortSignal): Promise<AcmeSession> {
    const { directory, caBundle } = settings;
    const name = `${directory} ${caBundle ?? ""}`;
    const known = this.#sessions.get(name);
    if (known !== undefined) return known;
    const { vault, transport } = this.#options;
    const accountKey = await vault.open(ACCOUNT_KEY, signal);
    const trust = caBundle === undefined ? {} : { caBundle };
    const session = new AcmeSession({ directory, accountKey, transport, ...trust });
    this.#sessions.set(name, session);
    return session;
  }

  async #external(settings: AcmeSettings, signal: AbortSignal) {
    const keyId = settings.externalAccountKeyId;
    if (keyId === undefined) return {};
    return {
      external: { keyId, key: await this.#options.vault.open(externalKey(settings), signal) },
    };
  }

  /** Not written when the settings were changed meanwhile: the next step registers again. */
  async #noteAccount(settings: AcmeSettings, account: string | undefined): Promise<void> {
    const { store, state, leadership } = this.#options;
    const key = keys.acme(settings);
    const entity = state.view.acme.get(key);
    if (entity === undefined || entity.value.setAt !== settings.setAt) return;
    const { accountUrl: _old, ...rest } = entity.value;
    const value = encode(account === undefined ? rest : { ...rest, accountUrl: account });
    const result = await store.txn({
      compare: [...leadership(), unchangedSince(key, entity.revision)],
      then: [{ kind: "put", key, value }],
    });
    await state.waitFor(result.revision);
  }
}
