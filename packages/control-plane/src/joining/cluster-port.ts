/**
 * The cluster's port: the same API as on loopback, with TLS, for other hosts. Closed until somebody asks for a
 * token to join by, open from then on as long as there is a member or a token that lives.
 *
 * The server's key is made once and kept sealed, so that the pin in a printed command stays true; its certificate
 * is made at each opening and renewed at half of its life. ADR 37.
 */

import { createHash, createPublicKey } from "node:crypto";
import { connect } from "node:net";
import {
  type Clock,
  DAY_MS,
  type Driver,
  HOUR_MS,
  type Logger,
  type Loop,
  present,
  SECOND_MS,
} from "@berth/base";
import { type Authority, identityUri, keys, parseKey } from "@berth/protocol";
import type { Dispatcher } from "../api/dispatcher.ts";
import { AUTHORITY_KEY, ensureAuthority } from "../certificates/authority.ts";
import { CLUSTER } from "../certificates/choose.ts";
import { factsOfPem } from "../certificates/read-certificate.ts";
import type { Vault } from "../certificates/vault.ts";
import { issueIdentity, newPrivateKey } from "../certificates/x509.ts";
import { HttpServer, type SecureIdentity } from "../server/http-server.ts";
import { tellAddress } from "../servers/server-addresses.ts";
import type { ChangeBatch, ClusterState } from "../state/cluster-state.ts";
import type { Store } from "../store/port.ts";
import type { ClusterEntrance, OpenEntrance, Software, Welcome } from "./entrance.ts";

const SERVER_LIFETIME_MS = 30 * DAY_MS;
/** How often it is looked whether the port should be open and its certificate be renewed. */
const LOOK_PERIOD_MS = HOUR_MS;
/** A host that is on the same network answers within milliseconds. */
const REACH_TIMEOUT_MS = 3 * SECOND_MS;
const SERVER_KEY = keys.sealed(CLUSTER, "server");

export interface ClusterPortOptions {
  readonly store: Store;
  readonly vault: Vault;
  readonly state: ClusterState;
  readonly cluster: () => string;
  /** Asked at each opening: the API is made with this port in hand. */
  readonly dispatcher: () => Dispatcher;
  readonly driver: Driver;
  readonly clock: Clock;
  readonly log: Logger;
  readonly newId: () => string;
  readonly listen: { readonly host: string; readonly port: number };
  /** Addresses of this machine by which others reach it, best first. */
  readonly addresses: () => readonly string[];
  readonly hostNames: readonly string[];
  readonly software: Software;
  readonly welcome: () => Promise<Welcome>;
  /** This machine as a node, and the version: what its address row says. */
  readonly node: string;
  readonly version: string;
  /** Other servers share the store: they are to reach this one, whether hosts have joined or not. */
  readonly isAlwaysOpen: boolean;
}

interface Opened {
  readonly server: HttpServer;
  readonly port: number;
  readonly key: string;
  readonly fingerprint: string;
  identity: SecureIdentity;
  renewAt: number;
}

export class ClusterPort implements ClusterEntrance {
  readonly software: Software;
  readonly #options: ClusterPortOptions;
  readonly #endListening: () => void;
  readonly #loop: Loop;
  #opening: Promise<Opened> | undefined;
  #opened: Opened | undefined;

  constructor(options: ClusterPortOptions) {
    this.#options = options;
    this.software = options.software;
    this.#endListening = options.state.onChange((batch) => this.#onChange(batch));
    this.#loop = options.driver.add({
      name: "cluster-port",
      purpose: "keeps the port for other hosts open while there are any, and its certificate fresh",
      periodMs: LOOK_PERIOD_MS,
      run: () => this.#look(),
    });
  }

  async open(): Promise<OpenEntrance> {
    this.#opening ??= this.#open().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    // Tells the address, where that was not done.
    if (this.#opened === undefined) this.#loop.wake();
    const { key, port, fingerprint } = await this.#opening;
    const urls = this.#options.addresses().map((address) => `https://${address}:${port}`);
    return { urls, serverPin: pinOf(key), fingerprint };
  }

  welcome(): Promise<Welcome> {
    return this.#options.welcome();
  }

  /** What this server shows to others; absent until the port is open. */
  identity(): SecureIdentity | undefined {
    return this.#opened?.identity;
  }

  async reach(address: string, port: number) {
    const { clock } = this.#options;
    return new Promise<{ ok: boolean; message: string }>((resolve) => {
      const socket = connect({ host: address, port });
      const end = (ok: boolean, message: string) => {
        cancel();
        socket.destroy();
        resolve({ ok, message });
      };
      const cancel = clock.setTimer(REACH_TIMEOUT_MS, () => end(false, "no answer in time"));
      socket.once("connect", () => end(true, "reached"));
      socket.once("error", (error: NodeJS.ErrnoException) => end(false, error.code ?? "failed"));
    });
  }

  async stop(): Promise<void> {
    this.#endListening();
    const opened = await this.#opening?.catch(() => undefined);
    await opened?.server.stop();
  }

  /** A removed member may have streams open, which no further call would check. */
  #onChange(batch: ChangeBatch): void {
    const removed = batch.changes.filter(({ kind }) => kind === "removal");
    if (removed.length === 0) return;
    const members = removed.flatMap(({ key }) => parseKey(key)?.name ?? []);
    void this.#opening?.then(({ server }) => {
      for (const member of members) server.disconnect(member);
    });
  }

  async #look(): Promise<void> {
    const { clock } = this.#options;
    const { view } = this.#options.state;
    const now = clock.now();
    const lives = view.joinTokens.all().some(({ value }) => value.expiresAt > now);
    const isWanted = this.#options.isAlwaysOpen || lives || view.members.all().length > 0;
    if (!isWanted) return;
    const { urls } = await this.open();
    const opened = await this.#opening;
    if (opened === undefined) return;
    this.#opened = opened;
    const { store, node, version } = this.#options;
    const { authority } = opened.identity;
    await tellAddress({ node, urls, authority, version }, { store, view, now });
    if (opened.renewAt > now) return;
    const { identity, renewAt } = await this.#identity(opened.key);
    opened.server.renew(identity);
    opened.identity = identity;
    opened.renewAt = renewAt;
  }

  async #open(): Promise<Opened> {
    const { dispatcher, clock, log, newId, hostNames, listen } = this.#options;
    const { fingerprint } = await this.#authority();
    const key = await this.#serverKey();
    const { identity, renewAt } = await this.#identity(key);
    const server = new HttpServer({
      ...{ dispatcher: dispatcher(), clock, log, newId, hostNames },
      secure: identity,
    });
    const url = await server.listen(listen);
    log.info("the cluster's port is open", { url });
    return { server, key, fingerprint, port: Number(new URL(url).port), identity, renewAt };
  }

  async #identity(key: string): Promise<{ identity: SecureIdentity; renewAt: number }> {
    const { vault, clock, addresses, cluster } = this.#options;
    const authority = await this.#authority();
    const now = clock.now();
    const certificate = await issueIdentity({
      authority: { certificate: authority.certificate, key: await vault.open(AUTHORITY_KEY) },
      publicKeyDer: publicKeyOf(key),
      uri: identityUri({ kind: "server", cluster: cluster() }),
      hosts: addresses(),
      now,
      lifetimeMs: SERVER_LIFETIME_MS,
    });
    const { notAfter } = factsOfPem(certificate);
    // With the authority behind it: a host that joins knows only its fingerprint.
    const chain = `${certificate.trim()}\n${authority.certificate.trim()}\n`;
    const identity = { certificate: chain, key, authority: authority.certificate };
    return { identity, renewAt: now + (notAfter - now) / 2 };
  }

  /** Made here where a server that has just started has not come to it: of two that try, one makes it. */
  async #authority(): Promise<Authority> {
    const { store, vault, cluster, clock } = this.#options;
    await ensureAuthority({
      ...{ store, vault, cluster: cluster(), now: clock.now() },
      leadership: [],
    });
    const { entry } = await store.get(keys.authority());
    return JSON.parse(present(entry, "the authority").value) as Authority;
  }

  async #serverKey(): Promise<string> {
    const { store, vault } = this.#options;
    const made = newPrivateKey();
    const absent = { key: SERVER_KEY, target: "version", op: "=", value: 0 } as const;
    await store.txn({ compare: [absent], then: [vault.put(SERVER_KEY, made)] });
    return vault.open(SERVER_KEY);
  }
}

function publicKeyOf(key: string): Buffer {
  return createPublicKey(key).export({ type: "spki", format: "der" });
}

/** As curl's --pinnedpubkey takes it behind `sha256//`. */
function pinOf(key: string): string {
  return createHash("sha256").update(publicKeyOf(key)).digest("base64");
}
