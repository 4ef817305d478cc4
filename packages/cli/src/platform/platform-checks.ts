/** Checks of the platform on this machine: engine, server, agent, net, files. */

import { existsSync, statSync } from "node:fs";
import { type ApiClient, type CertificateView, ProtocolError } from "@berth/protocol";
import { clientOf } from "../connection/client.ts";
import { localContext, tokenOf } from "../connection/context.ts";
import { type Check, type Finding, failure, ok, warning } from "./finding.ts";
import { answersAt, DOMAIN, hostAsksUs, hostDnsOf } from "./host-dns.ts";
import { askEngine, pingEngine } from "./local-engine.ts";

export const engine: Check = async ({ settings }) => {
  const ping = await pingEngine(settings.engineSocket);
  if (ping === undefined) {
    return [
      failure(
        "engine",
        `no container engine answers at ${settings.engineSocket}`,
        "script/up installs and starts one; or --engine-socket names another",
      ),
    ];
  }
  const info = await askEngine(settings.engineSocket, "/info");
  if (typeof info !== "object" || info === null) return [];
  const text = (key: string) => String((info as Readonly<Record<string, unknown>>)[key] ?? "");
  return [
    ok("engine", `${text("ServerVersion")}, API ${ping.apiVersion}, storage ${text("Driver")}`),
    ...engineHints(info as Readonly<Record<string, unknown>>, settings.engineManaged),
  ];
};

function engineHints(info: Readonly<Record<string, unknown>>, managed: boolean): Finding[] {
  const findings: Finding[] = [];
  if (info["LiveRestoreEnabled"] !== true && !managed) {
    findings.push(
      warning(
        "live-restore",
        "the engine's containers stop when the engine restarts",
        'add "live-restore": true to /etc/docker/daemon.json (not possible in swarm mode)',
      ),
    );
  }
  const swarm = info["Swarm"];
  const state =
    typeof swarm === "object" && swarm !== null && "LocalNodeState" in swarm
      ? String(swarm.LocalNodeState)
      : "inactive";
  if (state === "active") {
    findings.push(ok("swarm", "this engine is part of a swarm; it is left alone"));
  }
  return findings;
}

export const server: Check = async ({ environment, settings }) => {
  const context = localContext(environment);
  const { url } = context;
  if (tokenOf(context) === undefined && settings.joined === undefined) {
    return [failure("server", "the platform was never started here", "berth platform start")];
  }
  const client = clientOf(context);
  try {
    const { version } = await client.call("version", { params: {} });
    const { status, node } = await client.call("getNode", { params: { node: settings.node } });
    const conditions = (status?.conditions ?? []).map((condition) =>
      warning(condition.code, condition.message, condition.advice),
    );
    return [
      ok("server", `${version} at ${url}`),
      node.contact === "up"
        ? ok("agent", `node ${node.name} is in contact`)
        : failure("agent", `node ${node.name} has no contact`, "see agent.log in the log folder"),
      ...conditions,
    ];
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    return [failure("server", message, "berth platform start; logs are in the data folder's log/")];
  }
};

/** HTTP-01 is asked for on this port, whatever the platform's own is. */
const ACME_HTTP_PORT = 80;

/** Certificates that expire, have expired or cannot be had; silent where the server is. */
export const certificates: Check = async ({ environment, settings }) => {
  const context = localContext(environment);
  if (tokenOf(context) === undefined) return [];
  const client = clientOf(context);
  const params = { project: "default", environment: "main" };
  try {
    const { items } = await client.call("listCertificates", { params, query: { all: "true" } });
    const findings = items.flatMap(certificateFindings);
    const isAcmeSet = items.some(({ certificate }) => certificate.order !== undefined);
    const acme = isAcmeSet ? await acmePortFinding(client, params, settings.httpPort) : [];
    if (items.length === 0 || findings.length > 0) return [...findings, ...acme];
    return [ok("certificates", `${items.length}, all of them valid`), ...acme];
  } catch (error) {
    // The check of the server itself tells that.
    if (error instanceof ProtocolError) return [];
    throw error;
  } finally {
    client.close();
  }
};

async function acmePortFinding(
  client: ApiClient,
  params: { readonly project: string; readonly environment: string },
  httpPort: number,
): Promise<Finding[]> {
  const { challenge } = await client.call("getAcme", { params, query: {} });
  if (challenge !== "http-01" || httpPort === ACME_HTTP_PORT) return [];
  const message = `ACME servers ask for HTTP-01 on port ${ACME_HTTP_PORT}, HTTP routes are answered on ${httpPort}`;
  const advice = `berth platform start --http-port ${ACME_HTTP_PORT}, or have port ${ACME_HTTP_PORT} forwarded; then berth certificate renew`;
  return [warning("acme", message, advice)];
}

function certificateFindings({ certificate }: CertificateView): Finding[] {
  const { name, state, source, current, lastError } = certificate;
  const until = current === undefined ? "" : new Date(current.notAfter).toISOString().slice(0, 16);
  const advice =
    source === "file"
      ? `berth certificate add ${name} --cert FILE --key FILE`
      : (lastError?.advice ?? `berth certificate show ${name}`);
  switch (state) {
    case "expired":
      return [failure("certificates", `${name} expired at ${until}: clients refuse it`, advice)];
    case "expiring":
      return [warning("certificates", `${name} expires at ${until} and was not replaced`, advice)];
    case "failing": {
      const message = `${name} cannot be had: ${lastError?.message ?? "no reason was given"}`;
      return [warning("certificates", message, advice)];
    }
    case "pending":
    case "valid":
      return [];
  }
}

/** Files that only their owner may read. */
export const secretFiles: Check = async ({ paths }) => {
  const open = [paths.adminToken, paths.agentToken, paths.identity]
    .filter((file) => existsSync(file))
    .filter((file) => (statSync(file).mode & 0o077) !== 0);
  const [first] = open;
  return [
    first === undefined
      ? ok("token files", "readable by their owner only")
      : failure("token files", `${first} can be read by others`, `chmod 600 ${first}`),
  ];
};

/** Names of services for this machine: whether they are answered, and whether anybody here asks. */
export const hostNames: Check = async ({ settings }) => {
  const place = hostDnsOf(settings);
  if (place === undefined) return [ok("names", "not answered for this machine (--host-dns off)")];
  const text = `${place.address}:${place.port}`;
  if (!(await answersAt(place))) {
    const advice =
      "berth platform start; if another program has the port: --host-dns 127.0.0.1:7754";
    return [warning("names", `nobody answers for *.${DOMAIN} at ${text}`, advice)];
  }
  if (await hostAsksUs()) return [ok("names", `*.${DOMAIN} resolves on this machine`)];
  const how = "to resolve them on this machine see docs/operating/names.md";
  return [ok("names", `*.${DOMAIN} is answered at ${text}; ${how}`)];
};
