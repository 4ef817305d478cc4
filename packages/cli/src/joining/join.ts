/**
 * Makes this machine a node of a cluster: checks as a live list, then the certificate, then what the platform
 * needs to start. Nothing is changed, and the token is not used, before every check has passed.
 */

import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import type { Clock } from "@berth/base";
import { memberRequest, newPrivateKey } from "@berth/control-plane/certificates/x509";
import { ProtocolError } from "@berth/protocol";
import type { Finding } from "../platform/finding.ts";
import * as host from "../platform/host-checks.ts";
import type { PlatformPaths } from "../platform/paths.ts";
import type { PlatformSettings } from "../platform/settings.ts";
import { writeIdentity } from "./identity-file.ts";
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
  const key = newPrivateKey();
  const client = joinClient(words, met.authority);
  try {
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

function rangesOf(met: Met | undefined): ClusterSettings {
  if (met === undefined) return { clusterRange: "" };
  const { clusterRange, serviceRange } = met.answer;
  return { clusterRange, ...(serviceRange === undefined ? {} : { serviceRange }) };
}
