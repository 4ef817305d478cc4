/** Clients of HTTPS for tests: what openssl sees, and load that counts every request that fails. */

import { execFile } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { Agent, request } from "node:https";

/** The certificate that `host` is served with, as `openssl s_client` gets it. */
export function servedCertificate(
  port: number,
  host: string | undefined,
): Promise<X509Certificate> {
  const name = host === undefined ? ["-noservername"] : ["-servername", host];
  const words = ["s_client", "-connect", `127.0.0.1:${port}`, ...name, "-showcerts"];
  return new Promise((resolve, reject) => {
    const child = execFile("openssl", words, { timeout: 10_000 }, (_error, stdout) => {
      const block = /-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/.exec(stdout)?.[0];
      if (block === undefined) reject(new Error(`no certificate for ${host}: ${stdout}`));
      else resolve(new X509Certificate(block));
    });
    child.stdin?.end();
  });
}

/** A request by curl that checks the certificate against `caFile`; answers status and body. */
export function curl(
  port: number,
  host: string,
  caFile: string,
): Promise<{ readonly code: number; readonly text: string }> {
  const words = ["-sS", "-m", "10", "--cacert", caFile, "--resolve", `${host}:${port}:127.0.0.1`];
  return new Promise((resolve) => {
    execFile("curl", [...words, `https://${host}:${port}/`], (error, stdout, stderr) => {
      const code = error === null ? 0 : Number(error.code);
      resolve({ code, text: code === 0 ? stdout : stderr });
    });
  });
}

export interface TlsLoad {
  /** Answers so far. */
  readonly answered: () => number;
  /** Ends the load; every failure in words. */
  stop(): Promise<{ readonly answered: number; readonly failures: readonly string[] }>;
}

/** Requests without a pause: half on kept connections, half on a new one each. */
export function tlsLoad(options: {
  readonly port: number;
  readonly host: string;
  readonly ca: string;
  readonly clients: number;
}): TlsLoad {
  const { port, host, ca, clients } = options;
  let answered = 0;
  let isOver = false;
  const failures: string[] = [];
  const agents = Array.from(
    { length: clients },
    (_, index) => new Agent({ keepAlive: index % 2 === 0, maxSockets: 1 }),
  );
  const once = (agent: Agent) =>
    new Promise<void>((resolve) => {
      const call = request(
        {
          host: "127.0.0.1",
          port,
          servername: host,
          ca,
          agent,
          headers: { host },
          timeout: 10_000,
        },
        (answer) => {
          answer.resume();
          answer.once("end", () => {
            if (answer.statusCode === 200) answered++;
            else failures.push(`status ${answer.statusCode}`);
            resolve();
          });
        },
      );
      call.once("timeout", () => call.destroy(new Error("no answer within 10 s")));
      call.once("error", (error) => {
        failures.push(error.message);
        resolve();
      });
      call.end();
    });
  const running = agents.map(async (agent) => {
    while (!isOver) await once(agent);
    agent.destroy();
  });
  return {
    answered: () => answered,
    stop: async () => {
      isOver = true;
      await Promise.all(running);
      return { answered, failures };
    },
  };
}
