/**
 * Asks all copies of services all the time, from inside a network, by their names: each copy has an identity of its
 * own, which is written into a file with the wall time of its first answer.
 *
 *     node prober.ts RESOLVER FILE NAME...
 */

import { Resolver } from "node:dns/promises";
import { appendFileSync } from "node:fs";
import { get } from "node:http";

const PERIOD_MS = 25;
const ANSWER_TIMEOUT_MS = 1_000;
/** Of the copies on either side. */
export const PROBED_PORT = 8080;

function ask(address: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const options = { host: address, port: PROBED_PORT, agent: false, timeout: ANSWER_TIMEOUT_MS };
    const request = get(options, (response) => {
      let body = "";
      response.setEncoding("utf8").on("data", (text: string) => {
        body += text;
      });
      response.on("end", () => resolve(response.statusCode === 200 ? body.trim() : undefined));
    });
    request.on("timeout", () => request.destroy());
    request.on("error", () => resolve(undefined));
  });
}

function probe(resolver: string, file: string, names: readonly string[]): void {
  const dns = new Resolver({ timeout: ANSWER_TIMEOUT_MS, tries: 1 });
  dns.setServers([resolver]);
  const known = new Set<string>();
  const waiting = new Set<string>();
  const look = async (name: string) => {
    const addresses = await dns.resolve4(name).catch((): string[] => []);
    for (const address of addresses) {
      // One that is dead keeps nobody else from being asked.
      if (waiting.has(address)) continue;
      waiting.add(address);
      void ask(address).then((identity) => {
        waiting.delete(address);
        if (identity === undefined || known.has(`${name} ${identity}`)) return;
        known.add(`${name} ${identity}`);
        appendFileSync(file, `${Date.now()} ${name} ${identity}\n`);
      });
    }
  };
  setInterval(() => {
    for (const name of names) void look(name);
  }, PERIOD_MS);
}

if (import.meta.main) {
  const [resolver = "", file = "", ...names] = process.argv.slice(2);
  probe(resolver, file, names);
}
