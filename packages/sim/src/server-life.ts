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
import { FaultyStore, type StoreFaults } from "@berth/control-plane/store/faulty";
import type { Store } from "@berth/control-plane/store/port";
import type { Life } from "./life.ts";
import { StoreOfLife } from "./store-of-life.ts";

export interface ServerLifeOptions {
  readonly life: Life;
  /** Outlives the server. */
  readonly store: Store;
  readonly blobs: MemoryBlobs;
  readonly settings: ControlPlaneSettings;
  readonly faults: StoreFaults;
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
  /** Its way to the store; faults may be changed at any time. */
  readonly store: FaultyStore;
}

const SECRET_KEY_BYTES = 32;

/** Starts a server; rejects when its store fails it, as a process that ends and is started again. */
export async function startServer(options: ServerLifeOptions): Promise<ServerLife> {
  const { life, blobs, settings, log, prng, newId } = options;
  const { clock } = life;
  const faulty = new FaultyStore({
    store: options.store,
    clock,
    prng: prng.fork(),
    faults: options.faults,
  });
  const store = new StoreOfLife(faulty, life);
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
    store,
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
  return { life, control, dispatcher: api.dispatcher, store: faulty };
}
