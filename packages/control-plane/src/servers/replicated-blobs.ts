/**
 * Blobs that lie on every server: each has all of them on its own disk, copied from server to server.
 *
 * Invariants: while more than one server is there, what was acknowledged lies on two at least; a digest that any
 * server which answers has can be read on each; a copy is complete and right or not there (the port below sees to
 * it). A server that was away takes what it lacks when it is asked for it, and all of it by the loop `blob-copies`.
 *
 * Cost: each blob crosses the network once for each server. ADR 63.
 */

import { type Driver, HOUR_MS, type Logger, MINUTE_MS } from "@berth/base";
import { asProtocolError, ProtocolError } from "@berth/protocol";
import type { AddOptions, BlobDigest, BlobInfo, BlobSource, Blobs } from "../blobs/port.ts";
import type { PeerServer, PeerServers } from "./peer-servers.ts";

/** Half a gigabyte over a slow line; a server that takes longer gets it from the loop. */
const COPY_TIMEOUT_MS = 2 * MINUTE_MS;
/** How often it is looked for what this server lacks. Reading takes what is missing at once. */
const LOOK_PERIOD_MS = HOUR_MS;

export interface ReplicatedBlobsOptions {
  /** This server's own. */
  readonly own: Blobs;
  readonly peers: PeerServers;
  readonly driver: Driver;
  readonly log: Logger;
}

export class ReplicatedBlobs implements Blobs {
  readonly #options: ReplicatedBlobsOptions;

  constructor(options: ReplicatedBlobsOptions) {
    this.#options = options;
    options.driver.add({
      name: "blob-copies",
      purpose: "takes over the blobs that other servers have and this one lacks",
      periodMs: LOOK_PERIOD_MS,
      run: (signal) => this.#catchUp(signal),
    });
  }

  async add(bytes: BlobSource, options: AddOptions = {}): Promise<BlobInfo> {
    const info = await this.#options.own.add(bytes, options);
    await this.#giveAway(info.digest, options.signal);
    return info;
  }

  async put(digest: BlobDigest, bytes: BlobSource, signal?: AbortSignal): Promise<void> {
    await this.#options.own.put(digest, bytes, signal);
    await this.#giveAway(digest, signal);
  }

  async read(
    digest: BlobDigest,
    signal?: AbortSignal,
  ): Promise<AsyncIterable<Uint8Array> | undefined> {
    const { own, peers } = this.#options;
    const found = await own.read(digest, signal);
    if (found !== undefined) return found;
    for (const peer of peers.others()) {
      if (await this.#take(peer, digest, signal)) return own.read(digest, signal);
    }
    return undefined;
  }

  /** Of this server: whoever is told that a blob is missing puts it again, which makes the copies. */
  has(digest: BlobDigest): Promise<boolean> {
    return this.#options.own.has(digest);
  }

  delete(digest: BlobDigest): Promise<boolean> {
    return this.#options.own.delete(digest);
  }

  list(): AsyncIterable<BlobInfo> {
    return this.#options.own.list();
  }

  /**
   * Copies to every other server that is there.
   *
   * @throws ProtocolError `unavailable` when there are others and none of them took it: the same bytes may be
   * put again.
   */
  async #giveAway(digest: BlobDigest, signal: AbortSignal | undefined): Promise<void> {
    const { peers, log } = this.#options;
    const others = peers.others();
    if (others.length === 0) return;
    const late = AbortSignal.timeout(COPY_TIMEOUT_MS);
    const both = signal === undefined ? late : AbortSignal.any([signal, late]);
    const results = await Promise.allSettled(others.map((peer) => this.#give(peer, digest, both)));
    signal?.throwIfAborted();
    const failures = results.filter((result) => result.status === "rejected");
    for (const { reason } of failures) log.warn("a blob was not copied", { digest, error: reason });
    if (failures.length < others.length) return;
    const message = `none of ${others.length} other servers took a copy of ${digest}`;
    throw new ProtocolError("unavailable", message, {}, { cause: failures[0]?.reason });
  }

  async #give({ api }: PeerServer, digest: BlobDigest, signal: AbortSignal): Promise<void> {
    const bytes = await this.#options.own.read(digest, signal);
    if (bytes === undefined) throw new ProtocolError("not_found", `${digest} is gone`);
    await api.call("putServerBlob", { params: { digest }, bytes, signal });
  }

  /** Whether `peer` had it; then this server has it as well. */
  async #take(
    { node, api }: PeerServer,
    digest: BlobDigest,
    signal: AbortSignal | undefined,
  ): Promise<boolean> {
    const { own, log } = this.#options;
    const options = signal === undefined ? {} : { signal };
    try {
      const bytes = await api.download("getServerBlob", { params: { digest }, ...options });
      await own.put(digest, bytes, signal);
      return true;
    } catch (error) {
      signal?.throwIfAborted();
      const { code } = asProtocolError(error);
      // This server's own disk is full: nobody else can help.
      if (code === "storage_full") throw error;
      if (code !== "not_found") log.warn("a blob was not taken over", { digest, node, error });
      return false;
    }
  }

  async #catchUp(signal: AbortSignal): Promise<void> {
    const { own, peers } = this.#options;
    for (const peer of peers.others()) {
      for await (const { digest } of await peer.api.call("listServerBlobs", {
        params: {},
        signal,
      })) {
        if (!(await own.has(digest))) await this.#take(peer, digest, signal);
      }
    }
  }
}
