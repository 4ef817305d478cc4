/**
 * One life of the server process: the real control plane and the real API over the store that outlives
 * it, put together as `runServer` does.
 */

import type { Logger, Prng } from "@berth/base";
import { createApi } from "@berth/control-plane/api/create-api";
import type { Dispatcher } from "@berth/control-plane/api/dispatcher";
import { SecretBox } from "@berth/control-plane/api/secret-box";
import type { MemoryBlobs } from "@berth/control-plane/blobs/memory";
import { ControlPlane } from "@berth/control-plane/control-plane";
import type { FenceHook } from "@berth/control-plane/controllers/fence-port";
import type { ControlPlaneSettings } from "@berth/control-plane/settings";
import type { FaultyStore } from "@berth/control-plane/store/faulty";
import { parseKey } from "@berth/protocol";
import type { Life } from "./life.ts";
import { StoreOfLife } from "./store-of-life.ts";

export interface ServerLifeOptions {
  readonly life: Life;
  /** Its way to the store, which outlives it. */
  readonly store: FaultyStore;
  readonly blobs: MemoryBlobs;
  readonly settings: ControlPlaneSettings;
  readonly log: Logger;
  readonly prng: Prng;
  readonly newId: () => string;
  readonly fenceHook?: FenceHook;
}

/** A server that serves. */
export interface ServerLife {
  readonly life: Life;
  readonly control: ControlPlane;
  readonly dispatcher: Dispatcher;
  /** Aborts when the connections of a member are ended: it was removed. */
  readonly connectionsOf: (member: string) => AbortSignal;
}

const SECRET_KEY_BYTES = 32;

/** Starts a server; rejects when its store fails it, as a process that ends and is started again. */
export async function startServer(options: ServerLifeOptions): Promise<ServerLife> {
  const { life, blobs, settings, log, prng, newId } = options;
  const { clock } = life;
  const store = new StoreOfLife(options.store, life);
  const driver = life.driver(log, prng.fork());
  // What a hook does to a host happens also when the server that started it is gone by then.
  const hook = options.fenceHook;
  const fenceHook: FenceHook | undefined = hook && {
    fence: (request, signal) => life.only(() => hook.fence(request, signal)),
  };
  const control = new ControlPlane({
    ...{ store, clock, log, prng: prng.fork(), driver, settings },
    ...(fenceHook === undefined ? {} : { fenceHook }),
  });
  await control.start();
  const api = createApi({
    store: control.store,
    state: control.state,
    blobs,
    control,
    settings,
    secrets: new SecretBox(new Uint8Array(SECRET_KEY_BYTES).fill(7)),
    driver,
    clock,
    log,
    newId,
    version: "0.0.0",
  });
  return { life, control, dispatcher: api.dispatcher, connectionsOf: connectionsOf(control) };
}

/** As `cluster-port.ts` has it: a removed member may have streams open, which no further call would check. */
function connectionsOf(control: ControlPlane): (member: string) => AbortSignal {
  const connections = new Map<string, AbortController>();
  const of = (member: string) => {
    const known = connections.get(member) ?? new AbortController();
    connections.set(member, known);
    return known;
  };
  control.state.onChange(({ changes }) => {
    for (const { kind, key } of changes) {
      if (kind !== "removal") continue;
      for (const member of parseKey(key)?.name ?? []) of(member).abort();
    }
  });
  return (member) => of(member).signal;
}
