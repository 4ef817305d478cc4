/**
 * Makes this machine a node of a cluster: checks as a live list, then the certificate, then what the platform
 * needs to start. Nothing is changed, and the token is not used, before every check has passed.
 */

import { X509Certificate } from "node:crypto";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import type { Clock } from "@berth/base";
import { memberRequest, newPrivateKey } from "@berth/control-plane/certificates/x509";
import { FORMAT_LEVEL, FORMAT_LEVEL_FIRST, ProtocolError } from "@berth/protocol";
import { type Finding, failure, ok } from "../platform/finding.ts";
import * as host from "../platform/host-checks.ts";
import type { PlatformPaths } from "../platform/paths.ts";
import type { PlatformSettings } from "../platform/settings.ts";
import { normalFingerprint } from "./first-contact.ts";
import { readIdentity, writeIdentity } from "./identity-file.ts";
import {
  HOST_CHECKS,
  type JoinWords,
  joinClient,
  type Met,
  meetCluster,
  pathMtu,
} from "./join-checks.ts";

export interface JoinInput {
  readonly words: JoinWords;
  readonly paths: PlatformPaths;
  /** As they would be without the cluster's. */
  readonly settings: PlatformSettings;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly clock: Clock;
  /** Shows a finding as soon as it is there. */
  readonly show: (finding: Finding) => void;
}

/**
 * What the cluster adds to this machine's settings.
 *
 * @throws ProtocolError `invalid_request` when a check fails, or where a server's data lies already.
 */
export async function joinCluster(input: JoinInput): Promise<Partial<PlatformSettings>> {
  const { met, settings } = await checkCluster(input);
  const { words, paths, clock } = input;
  const client = joinClient(words, met.authority);
  try {
    if (met.answer.server !== undefined) {
      const { joinAsServer } = await import("./join-server.ts");
      return await joinAsServer({
        client,
        paths,
        settings: { ...input.settings, ...settings },
        clock,
      });
    }
    const key = newPrivateKey();
    const body = { node: words.node, now: clock.now(), signingRequest: await memberRequest(key) };
    const made = await client.call("joinNode", { params: {}, body });
    const { cluster, node, certificate, authority, notAfter } = made;
    mkdirSync(paths.dataDir, { recursive: true, mode: 0o700 });
    const identity = { cluster, node, certificate, authority, key, notBefore: clock.now() };
    writeIdentity(paths.identity, { ...identity, notAfter });
    writeFileSync(paths.clusterId, `${cluster}\n`, { mode: 0o600 });
    return { ...settings, node, joined: { url: words.url, cluster } };
  } finally {
    client.close();
  }
}

/** The printed line is also how a node gets the server's version; the token stays unused. */
export function isMemberAlready(
  paths: PlatformPaths,
  { joined }: PlatformSettings,
  fingerprint: string,
): boolean {
  if (joined === undefined || !existsSync(paths.identity)) return false;
  const { authority } = readIdentity(paths.identity);
  const own = new X509Certificate(authority).fingerprint256;
  return normalFingerprint(own) === normalFingerprint(fingerprint);
}

function refuseServers({ paths, settings }: JoinInput): void {
  if (existsSync(paths.adminToken)) {
    const message = "this machine has a cluster of its own, whose server keeps its data here";
    const advice = "remove it first, if nobody needs it: berth platform uninstall";
    throw new ProtocolError("already_exists", message, { advice });
  }
  if (settings.joined !== undefined) {
    const message = `this machine is a node of the cluster at ${settings.joined.url} already`;
    const advice = "to leave it: berth node rm on the server, berth platform uninstall here";
    throw new ProtocolError("already_exists", message, { advice });
  }
}

type ClusterSettings = Pick<PlatformSettings, "clusterRange" | "serviceRange">;

/**
 * Only the checks. Answers what the server said.
 *
 * @throws ProtocolError as `joinCluster`.
 */
export async function checkCluster(
  input: JoinInput,
): Promise<{ readonly met: Met; readonly settings: ClusterSettings }> {
  refuseServers(input);
  const { words, paths, environment, clock } = input;
  const failed: Finding[] = [];
  const take = (findings: readonly Finding[]) => {
    for (const finding of findings) input.show(finding);
    failed.push(...findings.filter(({ level }) => level === "error"));
  };
  for (const one of HOST_CHECKS) take(await one({ paths, environment, settings: input.settings }));
  const { findings, met } = await meetCluster(words, () => clock.now());
  take(findings);
  const settings = rangesOf(met);
  take(await ofServer(input, met));
  if (met !== undefined) {
    const context = { paths, environment, settings: { ...input.settings, ...settings } };
    take(await host.addressRange(context));
    take(await pathMtu(words.url));
  }
  if (failed.length === 0 && met !== undefined) return { met, settings };
  const problems = failed.map(({ check, message }) => `${check}: ${message}`);
  const message = `this host cannot join yet: ${failed.length} ${failed.length === 1 ? "check" : "checks"} failed, nothing was changed`;
  throw new ProtocolError("invalid_request", message, { problems });
}

/** What a host that becomes a server needs besides. */
async function ofServer({ settings }: JoinInput, met: Met | undefined): Promise<Finding[]> {
  const { server, formatLevel = FORMAT_LEVEL_FIRST } = met?.answer ?? {};
  const findings: Finding[] = [];
  if (formatLevel > FORMAT_LEVEL) {
    const message = `the cluster's state is at level ${formatLevel}, this version reads ${FORMAT_LEVEL}: it is too old`;
    findings.push(
      failure(
        "formats",
        message,
        "run the line that berth node join prints: it brings the version",
      ),
    );
  }
  if (server === undefined) return findings;
  const { refuseLoopback } = await import("./join-server.ts");
  try {
    refuseLoopback(settings.store, server.storeUrl);
    findings.push(ok("store", settings.store?.url ?? server.storeUrl));
  } catch (error) {
    if (!(error instanceof ProtocolError)) throw error;
    findings.push(failure("store", error.message, String(error.details["advice"])));
  }
  return findings;
}

function rangesOf(met: Met | undefined): ClusterSettings {
  if (met === undefined) return { clusterRange: "" };
  const { clusterRange, serviceRange } = met.answer;
  return { clusterRange, ...(serviceRange === undefined ? {} : { serviceRange }) };
}
