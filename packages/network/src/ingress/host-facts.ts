/** What HAProxy may have on this host: a port, open files, an unprivileged user. */

import { readFileSync } from "node:fs";
import { createServer } from "node:net";
import type { ConfigSettings } from "./config.ts";

/**
 * Why the port cannot be had, or `undefined` when it is free (and free again when this resolves). `::` stands
 * for IPv6 alone.
 */
export function tryBind(port: {
  readonly address: string;
  readonly port: number;
}): Promise<unknown> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", resolve);
    const wish = { host: port.address, port: port.port, exclusive: true, ipv6Only: true };
    server.listen(wish, () => server.close(() => resolve(undefined)));
  });
}

/** The hard limit on open files, which HAProxy inherits and cannot raise without privilege. */
export function descriptorsMax(): number {
  const limits = readFileSync("/proc/self/limits", "utf8");
  const hard = /^Max open files\s+\S+\s+(\S+)/m.exec(limits)?.[1];
  return hard === undefined || hard === "unlimited" ? 1_048_576 : Number(hard);
}

/** The unprivileged user that the distribution's package has made, if it is there. */
export function haproxyUser(): ConfigSettings["user"] {
  const names = (path: string) =>
    readFileSync(path, "utf8")
      .split("\n")
      .map((line) => line.split(":", 1)[0]);
  const name = "haproxy";
  const known = names("/etc/passwd").includes(name) && names("/etc/group").includes(name);
  return known ? { name, group: name } : undefined;
}
