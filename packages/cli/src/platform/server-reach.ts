/**
 * Whether this machine reaches the cluster port of every server that its agent knows: it matters on the day when the
 * server that it uses has failed. Silent where no server was told of.
 */

import { connect } from "node:net";
import { SECOND_MS } from "@berth/base";
import { parseTarget } from "@berth/protocol/client/http-client";
import { readServers, serversOfAgent } from "../connection/known-servers.ts";
import { type Check, type Finding, ok, warning } from "./finding.ts";

/** A host on the same network answers within milliseconds. */
const CONNECT_TIMEOUT_MS = 2 * SECOND_MS;

export const servers: Check = async ({ paths }) => {
  const known = readServers(serversOfAgent(paths)).servers;
  return Promise.all(known.map(({ node, urls }) => reach(node, urls)));
};

/** One of its addresses is enough: a machine may have some that only it uses. */
async function reach(node: string, urls: readonly string[]): Promise<Finding> {
  const answers = await Promise.all(urls.map((url) => isOpen(url)));
  const found = urls.find((_url, index) => answers[index]);
  if (found !== undefined) return ok("servers", `the server on ${node} is reached at ${found}`);
  return warning(
    "servers",
    `the server on ${node} is not reached at ${urls.join(", ")}`,
    "let this TCP port through between the hosts; a machine that is gone for good is forgotten after a week",
  );
}

function isOpen(url: string): Promise<boolean> {
  const target = parseTarget(url);
  if (target.kind === "unix") return Promise.resolve(false);
  const { host, port } = target;
  return new Promise((resolve) => {
    const socket = connect({ host, port, timeout: CONNECT_TIMEOUT_MS });
    const end = (isReached: boolean) => {
      socket.destroy();
      resolve(isReached);
    };
    socket.once("connect", () => end(true));
    socket.once("timeout", () => end(false));
    socket.once("error", () => end(false));
  });
}
