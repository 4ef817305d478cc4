/**
 * Certificates of the routes of this node: fetched from the server when it says that some have changed,
 * sealed in the local database for a start without it, handed to the data plane with the model.
 *
 * Only what this node needs is given to it, and what it has is not sent again. When the data plane follows,
 * that is told back: the server waits for it before it lets an ACME server look. Private keys are in memory,
 * sealed on disk, and nowhere else (ADR 26).
 */

import type { Driver, Logger, Loop, LoopResult } from "@berth/base";
import type { CertificateModel } from "@berth/network";
import {
  type NodeCertificates as Answer,
  type ApiClient,
  asProtocolError,
  type NodeCertificatesRequest,
} from "@berth/protocol";
import type { LocalDb } from "../state/local-db.ts";
import type { Sealer } from "../state/seal.ts";

/** What the data plane is told of certificates. */
export interface ServedCertificates {
  readonly certificates: readonly CertificateModel[];
  readonly acmeThumbprint?: string;
}

/** One of them, with the version by which the server knows it. */
interface Kept extends CertificateModel {
  readonly version: string;
}

export interface NodeCertificatesOptions {
  readonly api: Pick<ApiClient, "call">;
  readonly node: string;
  readonly db: LocalDb;
  readonly sealer: Sealer;
  readonly driver: Driver;
  readonly log: Logger;
  /** The server can be asked. */
  readonly isJoined: () => boolean;
  /** What is served has changed. */
  readonly onChanged: () => void;
  /** Resolves when the data plane follows everything that was there before the call. */
  readonly followed: (signal: AbortSignal) => Promise<void>;
}

/** Asked without a reason, too: a wake-up may be lost with a connection. */
const PERIOD_MS = 60_000;
/** An order writes each of its steps: they share a question. */
const GATHER_MS = 100;
/** Pause after a question that went wrong: the next contact asks again anyway. */
const RETRY_MS = 2_000;

export class NodeCertificates {
  readonly #options: NodeCertificatesOptions;
  readonly #loop: Loop;
  #kept: ReadonlyMap<string, Kept>;
  #thumbprint: string | undefined;
  /** What the data plane follows, and the server was told so. */
  #told: string | undefined;

  constructor(options: NodeCertificatesOptions) {
    this.#options = options;
    this.#kept = this.#load();
    this.#loop = options.driver.add({
      name: "certificates",
      purpose: "Fetches the certificates of this node's routes.",
      periodMs: PERIOD_MS,
      gatherMs: GATHER_MS,
      run: (signal) => this.#run(signal),
    });
  }

  /** Something that the answer depends on may be another: certificates, tasks, the server itself. */
  wake(): void {
    this.#loop.wake();
  }

  /** What to serve with now, in order of identifier. */
  served(): ServedCertificates {
    const certificates = [...this.#kept.values()].map(({ version: _version, ...rest }) => rest);
    return {
      certificates,
      ...(this.#thumbprint === undefined ? {} : { acmeThumbprint: this.#thumbprint }),
    };
  }

  async #run(signal: AbortSignal): Promise<LoopResult> {
    const { isJoined, onChanged, followed, log } = this.#options;
    if (!isJoined()) return;
    try {
      const answer = await this.#ask(undefined, signal);
      if (await this.#take(answer)) onChanged();
      const serving = this.#serving();
      const words = JSON.stringify(serving);
      if (words === this.#told) return;
      await followed(signal);
      await this.#ask(serving, signal);
      this.#told = words;
    } catch (error) {
      signal.throwIfAborted();
      const { code, message } = asProtocolError(error);
      // Without a server, what is sealed here serves on.
      if (code !== "unavailable") log.warn("certificates could not be fetched", { code, message });
      return { againMs: RETRY_MS };
    }
  }

  /** A new server has not been told anything. */
  contact(): void {
    this.#told = undefined;
    this.wake();
  }

  #ask(serving: NodeCertificatesRequest["serving"], signal: AbortSignal): Promise<Answer> {
    const { api, node } = this.#options;
    const known = this.#serving().versions;
    const body = serving === undefined ? { known } : { known, serving };
    return api.call("syncNodeCertificates", { params: { node }, body, signal });
  }

  #serving(): NonNullable<NodeCertificatesRequest["serving"]> {
    const versions: Record<string, string> = {};
    for (const { id, version } of this.#kept.values()) versions[id] = version;
    return {
      versions,
      ...(this.#thumbprint === undefined ? {} : { thumbprint: this.#thumbprint }),
    };
  }

  /** Whether anything is another than before. Durable first: what is served survives. */
  async #take({ certificates, acmeThumbprint }: Answer): Promise<boolean> {
    const kept = new Map<string, Kept>();
    for (const { pem, id, ...rest } of certificates) {
      const content = pem ?? this.#kept.get(id)?.pem;
      if (content !== undefined) kept.set(id, { id, ...rest, pem: content });
    }
    const isSame =
      acmeThumbprint === this.#thumbprint &&
      JSON.stringify([...kept.values()]) === JSON.stringify([...this.#kept.values()]);
    if (isSame) return false;
    await this.#keep(kept);
    this.#kept = kept;
    this.#thumbprint = acmeThumbprint;
    return true;
  }

  async #keep(kept: ReadonlyMap<string, Kept>): Promise<void> {
    const { db, sealer } = this.#options;
    const gone = [...this.#kept.keys()].filter((id) => !kept.has(id));
    await db.commit([
      ...[...kept].map(([key, value]) => ({
        table: "certificate" as const,
        key,
        value: sealer.seal(JSON.stringify(value), placeOf(key)),
      })),
      ...gone.map((key) => ({ table: "certificate" as const, key, value: undefined })),
    ]);
  }

  #load(): ReadonlyMap<string, Kept> {
    const { db, sealer, log } = this.#options;
    const kept = new Map<string, Kept>();
    for (const [key, sealed] of [...db.read("certificate")].sort(([a], [b]) => (a < b ? -1 : 1))) {
      try {
        kept.set(key, JSON.parse(sealer.open(String(sealed), placeOf(key))) as Kept);
      } catch (error) {
        // The server has it: one that cannot be opened is fetched again.
        log.warn("a kept certificate cannot be opened", { certificate: key, error });
      }
    }
    return kept;
  }
}

/** Binds a sealed value to its row. */
function placeOf(key: string): string {
  return `certificate ${key}`;
}
