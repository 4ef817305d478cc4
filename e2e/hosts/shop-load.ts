/** A service behind a route on all hosts of a lab, requests to it, and whether its containers were left alone. */

import type { HostLab, LabHost } from "./host-lab.ts";

const HTTP_PORT = 8_080;
const HOST = "shop.test";
/** Longer than any request takes on a busy machine: what counts is the answer. */
const REQUEST_S_MAX = 30;
/**
 * Of nodes: what is tested here is not how fast silence is noticed, and on a busy machine a new leader's first
 * seconds are longer than the default.
 */
export const LONG_LEASE = ["--lease", "30s"] as const;

export function shop(copies: number): string {
  const serve = "mkdir /www; hostname > /www/index.html; exec httpd -f -p 8080 -h /www";
  return `services:
  web:
    image: berth/busybox
    command: ["sh", "-c", "${serve}"]
    deploy: { replicas: ${copies} }
    x-berth:
      min_healthy: 200ms
      routes: [{ host: ${HOST}, port: 8080 }]
`;
}

/** Asks one host after the other, each from the one before. */
export function shopClient(lab: HostLab) {
  let turn = 0;
  return async () => {
    const index = turn++ % lab.hosts.length;
    const [from, to] = [lab.hosts[index], lab.hosts[(index + 1) % lab.hosts.length]];
    if (from === undefined || to === undefined) throw new Error("the lab has no hosts");
    const words = ["-sS", "-m", `${REQUEST_S_MAX}`, "-w", "\n%{http_code}", "-H", `Host: ${HOST}`];
    const url = `http://${to.address}:${HTTP_PORT}/`;
    const { stdout, stderr } = await from.run("curl", ...words, url);
    const lines = stdout.trimEnd().split("\n");
    return { status: Number(lines.at(-1)), body: lines[0] || `${to.name}: ${stderr}`, headers: {} };
  };
}

/** Containers of a host with the times of their starts: the same text means that none was touched. */
export function containers(host: LabHost): string[] {
  const ids = host.docker("ps", "-q", "--no-trunc").trim().split("\n").filter(Boolean);
  return ids.map((id) => host.docker("inspect", "-f", "{{.Id}} {{.State.StartedAt}}", id).trim());
}
