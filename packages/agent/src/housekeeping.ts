/** Small loops of an agent that look after its host: leftovers, logs, resolvers. */

import { type Driver, HOUR_MS } from "@berth/base";
import type { HostFacts } from "./host-facts.ts";
import type { LogStore } from "./logs/store.ts";
import { removeStrays, type StrayPorts } from "./task/stray-containers.ts";

/** Between looks for logs that are too old or too much. */
const LOGS_PERIOD_MS = HOUR_MS;
/** Strays are rare leftovers: nobody waits for their end. */
const STRAYS_PERIOD_MS = 30_000;
/** Hosts change their resolvers seldom. */
const FORWARDERS_PERIOD_MS = 60_000;

export interface HousekeepingOptions {
  readonly driver: Driver;
  readonly strays: StrayPorts;
  readonly logStore: Pick<LogStore, "collect">;
  readonly host: Pick<HostFacts, "forwarders">;
  /** The host's resolvers, as they are now. */
  readonly onForwarders: (forwarders: readonly string[]) => void;
}

export function addHousekeeping(options: HousekeepingOptions): void {
  const { driver, strays, logStore, host, onForwarders } = options;
  driver.add({
    name: "stray-containers",
    purpose: "Ends containers of ours that no task accounts for.",
    periodMs: STRAYS_PERIOD_MS,
    run: (signal) => removeStrays(strays, signal),
  });
  driver.add({
    name: "log-retention",
    purpose: "Removes logs that are too old or too much.",
    periodMs: LOGS_PERIOD_MS,
    run: async () => void (await logStore.collect()),
  });
  driver.add({
    name: "host-forwarders",
    purpose: "Follows the host's DNS servers, for names that are not ours.",
    periodMs: FORWARDERS_PERIOD_MS,
    run: async () => onForwarders(await host.forwarders()),
  });
}
