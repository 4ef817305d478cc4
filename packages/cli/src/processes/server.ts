/** The `server` process: API, controllers, scheduler, store. */

import { writeFileSync } from "node:fs";
import { runServer } from "@berth/control-plane/server/run-server";
import { installedSoftware } from "../joining/installed-software.ts";
import { ownAddresses } from "../platform/own-addresses.ts";
import { type PlatformSettings, SHARED_SETTINGS } from "../platform/settings.ts";
import { BUNDLED, VERSION } from "../platform/version.ts";
import { runProcessShell } from "./process-shell.ts";

await runProcessShell("server", async ({ paths, settings, clock, log }) => {
  const server = await runServer({
    dataDir: paths.dataDir,
    listen: { host: settings.host, port: settings.port },
    clusterPort: {
      host: settings.clusterHost,
      port: settings.clusterPort,
      addresses: () => clusterAddresses(settings),
      sharedSettings: Object.fromEntries(SHARED_SETTINGS.map((name) => [name, settings[name]])),
      software: installedSoftware(BUNDLED ? import.meta.dirname : undefined),
    },
    clock,
    log,
    nodeName: settings.node,
    version: VERSION,
    settings: controlPlaneSettings(settings),
    ...((settings.fenceHook ?? []).length === 0 ? {} : { fenceHook: settings.fenceHook }),
    ...(settings.store === undefined ? {} : { store: settings.store }),
    ...(BUNDLED ? { storeWorkerUrl: new URL("./sqlite-worker.mjs", import.meta.url) } : {}),
    // The supervisor starts a new one from what is on disk.
    onFailure: (error) => {
      log.error("the server cannot go on", { error });
      process.exit(1);
    },
  });
  writeFileSync(paths.clusterId, `${server.clusterId}\n`, { mode: 0o600 });
  return () => server.stop();
});

/** By which others may reach this machine: what it listens on, when that is one. */
function clusterAddresses({ clusterHost }: PlatformSettings): readonly string[] {
  return clusterHost === "0.0.0.0" ? ownAddresses() : [clusterHost];
}

function controlPlaneSettings(settings: PlatformSettings) {
  return {
    clusterRange: settings.clusterRange,
    ...(settings.serviceRange === undefined ? {} : { serviceRange: settings.serviceRange }),
    ...(settings.leaseMs === undefined ? {} : { leaseMs: settings.leaseMs }),
    ...settings.failover,
    ingressHttpPort: settings.httpPort,
    ingressHttpsPort: settings.httpsPort,
    portsReserved: [settings.port, settings.clusterPort, settings.httpPort, settings.httpsPort],
    policy: {
      privileged: settings.allowPrivileged,
      devices: settings.allowPrivileged,
      hostNamespaces: settings.allowPrivileged,
      hostMounts: settings.allowHostMounts,
      // Whoever has the engine's socket has the machine: both permissions together allow it.
      engineSocket: settings.allowHostMounts && settings.allowPrivileged,
    },
  };
}
