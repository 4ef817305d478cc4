/** The `agent` process: tasks of this node, on its engine; keeps `net` running. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startAgent } from "@berth/agent/agent";
import { DEVICES_FILE } from "@berth/agent/devices/host-devices";
import { linuxFacts } from "@berth/agent/host-facts";
import type { UnderlaySettings } from "@berth/agent/net/underlay";
import { dockerRuntime } from "@berth/agent/runtime/docker";
import { sleep } from "@berth/base";
import { NetClient, netSocketPath } from "@berth/network/client";
import type { ServerAddress } from "@berth/protocol";
import { type AgentServers, agentServers } from "../connection/agent-servers.ts";
import { serversOfAgent } from "../connection/known-servers.ts";
import { firstLineOf } from "../image/run-program.ts";
import { readIdentity, secureOptions } from "../joining/identity-file.ts";
import { renewIdentity } from "../joining/renewal.ts";
import { haltHook } from "../platform/halt.ts";
import { hostDnsOf } from "../platform/host-dns.ts";
import { hasSystemd } from "../platform/local-engine.ts";
import { ownAddresses } from "../platform/own-addresses.ts";
import { ownProcess, processEnvironment } from "../platform/process-table.ts";
import { type PlatformSettings, UNDERLAY_AUTO } from "../platform/settings.ts";
import {
  answerStopRequest,
  readStopRequest,
  STOP_REQUEST_SIGNAL,
  STOP_TASKS_MS,
} from "../platform/stop-request.ts";
import { BUNDLED, VERSION } from "../platform/version.ts";

import { type ProcessShell, runProcessShell } from "./process-shell.ts";

/** The server makes the token at its first start, which may be a moment away. */
const TOKEN_POLL_MS = 100;
/** What the agent itself takes to end: logs and its database. */
const AGENT_STOP_MS = 10_000;

await runProcessShell("agent", async (shell) => {
  const { paths, settings, clock, log, prng, driver } = shell;
  const { api, onServers } = await serverClient(shell);
  const hostDns = hostDnsOf(settings);
  const [program = process.execPath, ...words] = ownProcess("net");
  const onBoundary = haltHook();
  const agent = await startAgent({
    ...(onBoundary === undefined ? {} : { onBoundary }),
    nodeName: settings.node,
    onServers,
    dataDir: paths.agent,
    runtimeDir: paths.run,
    api,
    runtime: dockerRuntime({
      socketPath: settings.engineSocket,
      direct: {
        folder: join(paths.run, "starts"),
        log: log.with({ part: "direct-start" }),
        ...(BUNDLED ? { workerUrl: new URL("./direct-thread.mjs", import.meta.url) } : {}),
      },
    }),
    net: new NetClient({ socketPath: netSocketPath(paths.net) }),
    clock,
    log,
    prng,
    driver,
    settings: {
      version: VERSION,
      address: ownAddresses()[0] ?? "127.0.0.1",
      ingressHttpPort: settings.httpPort,
      ingressHttpsPort: settings.httpsPort,
      trustedProxies: settings.trustedProxies,
      proxyProtocolFrom: settings.proxyProtocolFrom,
      ingressBindAddress: settings.httpAddress,
      underlay: underlayOf(settings),
      ...(hostDns === undefined ? {} : { hostDns }),
    },
    machine: {
      host: linuxFacts({ netFolder: paths.net, devicesFile: join(paths.dataDir, DEVICES_FILE) }),
    },
    netProcess: {
      command: [program, ...words],
      environment: processEnvironment(paths),
      logPath: join(paths.logs, "net.log"),
      socketPath: netSocketPath(paths.net),
    },
  });
  process.on(STOP_REQUEST_SIGNAL, () => {
    const until = readStopRequest(paths, clock.now());
    void agent.stopTasks(until).then((left) => answerStopRequest(paths, left));
  });
  const stop = async () => {
    if (await hostShutsDown()) {
      log.info("the host shuts down: containers stop in order", { timeoutMs: STOP_TASKS_MS });
      const left = await agent.stopTasks(clock.now() + STOP_TASKS_MS);
      log.info("containers have stopped", { left });
    }
    await agent.stop();
  };
  return { stop, timeoutMs: STOP_TASKS_MS + AGENT_STOP_MS };
});

function underlayOf({ underlayAddress, underlayPort, joined }: PlatformSettings): UnderlaySettings {
  return {
    port: underlayPort,
    ...(underlayAddress === UNDERLAY_AUTO ? {} : { address: underlayAddress }),
    ...(joined === undefined ? {} : { toward: new URL(joined.url).hostname }),
  };
}

/** Whether the end of this process is the host's, as far as systemd says so. */
async function hostShutsDown(): Promise<boolean> {
  if (!hasSystemd()) return false;
  // It exits with another code than 0 for every state but `running`, and says it all the same.
  return (await firstLineOf("systemctl", ["is-system-running"])) === "stopping";
}

/** The server on this machine by its token, the one of the cluster that was joined by a certificate. */
async function serverClient(shell: ProcessShell): Promise<AgentServers> {
  const { paths, settings, clock, log, driver } = shell;
  const { joined, host, port, node } = settings;
  const file = serversOfAgent(paths);
  if (joined === undefined) {
    const token = await tokenOf(shell);
    const configured = { url: `http://${host}:${port}`, token };
    const asSelf = (url: string, { authority }: ServerAddress) => {
      return { url, token, secure: () => ({ authority }) };
    };
    return agentServers({ node, file, configured, asSelf, log });
  }
  let identity = readIdentity(paths.identity);
  const asSelf = (url: string) => ({ url, secure: () => secureOptions(identity) });
  const servers = agentServers({ node, file, configured: asSelf(joined.url), asSelf, log });
  renewIdentity({
    ...{ api: servers.api, file: paths.identity, driver, clock, log, identity: () => identity },
    use: (fresh) => {
      identity = fresh;
    },
  });
  return servers;
}

async function tokenOf({ paths, clock, log }: ProcessShell): Promise<string> {
  for (let said = false; ; said = true) {
    try {
      return readFileSync(paths.agentToken, "utf8").trim();
    } catch {
      if (!said) log.info("waits for the server's first start", { file: paths.agentToken });
      await sleep(clock, TOKEN_POLL_MS);
    }
  }
}
