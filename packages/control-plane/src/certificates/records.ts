/**
 * Writes of certificates: each compares the certificate's revision and the leadership, and is decided again
 * on the newest one when somebody else was faster. When a write returns, this server's reads show it.
 */

import {
  type Certificate,
  type CertificateFacts,
  type EnvironmentScope,
  keys,
  ProtocolError,
} from "@berth/protocol";
import { unchangedSince } from "../release/refusal.ts";
import type { ClusterState } from "../state/cluster-state.ts";
import { encode } from "../state/decode.ts";
import type { Entity } from "../state/entity-table.ts";
import type { Compare, Operation, Store } from "../store/port.ts";
import { renewalTime, stateAt } from "./lifetime.ts";
import type { Vault } from "./vault.ts";

/** Others write a certificate seldom: users, by hand. */
const ATTEMPTS_MAX = 5;

/** What to write about a certificate; `undefined` to leave it. */
export type Patch = (certificate: Certificate) => Certificate | undefined;

export interface RecordsOptions {
  readonly store: Store;
  readonly state: ClusterState;
  readonly leadership: () => readonly Compare[];
  /** Wall time. */
  readonly now: () => number;
}

export class CertificateRecords {
  readonly #options: RecordsOptions;

  constructor(options: RecordsOptions) {
    this.#options = options;
  }

  get(key: string): Entity<Certificate> | undefined {
    return this.#options.state.view.certificates.get(key);
  }

  /**
   * Applies `patch` to the newest certificate, together with `besides`; `undefined` when it is gone or the
   * patch leaves it. Its state is brought up to date on the way.
   */
  async update(
    key: string,
    patch: Patch,
    besides: readonly Operation[] = [],
  ): Promise<Certificate | undefined> {
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      const entity = this.get(key);
      const patched = entity && patch(entity.value);
      if (entity === undefined || patched === undefined) return undefined;
      const value = { ...patched, state: stateAt(patched, this.#options.now()) };
      const put: Operation = { kind: "put", key, value: encode(value) };
      if (await this.#commit([unchangedSince(key, entity.revision)], [put, ...besides]))
        return value;
    }
    throw new ProtocolError("conflict", "others keep changing the same certificate", { key });
  }

  /** Writes a certificate that does not exist, or `undefined` when somebody was faster. */
  async create(key: string, value: Certificate): Promise<boolean> {
    return this.#commit(
      [unchangedSince(key, undefined)],
      [{ kind: "put", key, value: encode(value) }],
    );
  }

  /** Removes a certificate with its keys. */
  async remove({ key, revision, value }: Entity<Certificate>): Promise<boolean> {
    return this.#commit([unchangedSince(key, revision)], removalOf(key, value));
  }

  async #commit(compare: readonly Compare[], then: readonly Operation[]): Promise<boolean> {
    const { store, state, leadership } = this.#options;
    const result = await store.txn({ compare: [...leadership(), ...compare], then });
    await state.waitFor(result.revision);
    return result.succeeded;
  }
}

/** Everything of a certificate in the store. */
export function removalOf(key: string, value: Certificate): Operation[] {
  const { name } = value;
  return [
    { kind: "delete", key },
    { kind: "delete-prefix", prefix: `${keys.sealed(value, "certificate", name)}/` },
    { kind: "delete-prefix", prefix: `${keys.sealed(value, "order", name)}/` },
  ];
}

/** Where chain and key of a version lie. */
export function sealedKey(scope: EnvironmentScope, name: string, version: string): string {
  return keys.sealed(scope, "certificate", name, version);
}

/** Where the key of an order lies until there is a certificate for it. */
export function orderKey(scope: EnvironmentScope, name: string, order: string): string {
  return keys.sealed(scope, "order", name, order);
}

/** A new certificate in the place of the present one: what to write, and the certificate that names it. */
export function installed(input: {
  readonly certificate: Certificate;
  readonly facts: Omit<CertificateFacts, "version">;
  readonly pem: string;
  readonly vault: Vault;
}): { readonly certificate: Certificate; readonly besides: Operation[] } {
  const { certificate, facts, pem, vault } = input;
  const { name } = certificate;
  const version = vault.versionOf(
    pem,
    `certificate ${certificate.project}/${certificate.environment}/${name}`,
  );
  const old = certificate.current?.version;
  const isStandIn = facts.source !== certificate.source;
  const { renewRequestedAt, renewAt: _old, nextAttemptAt, lastError, ...rest } = certificate;
  const unfinished = {
    ...(renewRequestedAt === undefined ? {} : { renewRequestedAt }),
    ...(nextAttemptAt === undefined ? {} : { nextAttemptAt }),
    ...(lastError === undefined ? {} : { lastError }),
  };
  return {
    certificate: {
      ...rest,
      current: { ...facts, version },
      ...(isStandIn ? unfinished : { failuresInRow: 0 }),
      ...(facts.source === "file" || isStandIn ? {} : { renewAt: renewalTime(facts) }),
    },
    besides: [
      vault.put(sealedKey(certificate, name, version), pem),
      ...(old === undefined || old === version
        ? []
        : [{ kind: "delete" as const, key: sealedKey(certificate, name, old) }]),
    ],
  };
}
