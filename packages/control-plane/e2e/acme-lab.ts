/**
 * A real ACME server for tests: Pebble, of Let's Encrypt's makers, which is strict on purpose (it refuses
 * one nonce in twenty, and reuses no authorization unless told), and its companion that answers DNS. Both are
 * Debian's package `pebble`.
 *
 * Everything listens on loopback, on ports that were free a moment ago.
 */

import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sleep, systemClock } from "@berth/base";
import { issueLeaf, makeAuthority } from "../src/certificates/x509.ts";

export interface AcmeLab {
  readonly directory: string;
  /** Checks the ACME server's own certificate. */
  readonly caBundle: string;
  /** `127.0.0.1#PORT`: knows every name (as 127.0.0.1), and what the hook writes. */
  readonly dnsServer: string;
  /** Program and arguments of a hook that writes to that server. */
  readonly hook: readonly string[];
  /** Answers HTTP-01 challenges of every host; `undefined` answers 404. */
  answerWith(thumbprint: string | undefined): void;
  /** Challenges that were asked for over HTTP. */
  readonly asked: string[];
  /** Runs of the hook: `present _acme-challenge.a.test`. */
  hookRuns(): Promise<string[]>;
  /** Stops the ACME server (`kill -9`), or starts it again with nothing remembered. */
  stopAcme(): Promise<void>;
  startAcme(): Promise<void>;
  /** Certificate of the root that issues, for clients to trust. */
  root(): Promise<string>;
  close(): Promise<void>;
}

export interface AcmeLabOptions {
  /** Key id and HMAC key (base64url) that accounts must be bound to. */
  readonly externalAccount?: { readonly keyId: string; readonly key: string };
  /** Where HTTP-01 challenges are asked for; a server of the lab's own answers when absent. */
  readonly httpPort?: number;
  readonly environment?: Readonly<Record<string, string>>;
}

/** A port that is free now. */
export async function freePort(): Promise<number> {
  const server = createTcpServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

const START_TIMEOUT_MS = 20_000;

export async function startAcmeLab(options: AcmeLabOptions = {}): Promise<AcmeLab> {
  const folder = mkdtempSync(join(tmpdir(), "berth-acme-"));
  const [acmePort, managementPort, dnsPort, dnsControl, ownHttpPort] = [
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
    await freePort(),
  ];
  const now = Date.now();
  const authority = await makeAuthority({ cluster: "acmelab0", now });
  const leaf = await issueLeaf({ authority, hosts: ["127.0.0.1", "localhost"], now });
  const caBundle = authority.certificate;
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const { externalAccount } = options;
  const config = {
    pebble: {
      listenAddress: `127.0.0.1:${acmePort}`,
      managementListenAddress: `127.0.0.1:${managementPort}`,
      certificate: file("acme.pem", leaf.certificate),
      privateKey: file("acme.key", leaf.key),
      httpPort: options.httpPort ?? ownHttpPort,
      tlsPort: await freePort(),
      ocspResponderURL: "",
      externalAccountBindingRequired: externalAccount !== undefined,
      externalAccountMACKeys:
        externalAccount === undefined ? {} : { [externalAccount.keyId]: externalAccount.key },
    },
  };
  const configFile = file("pebble.json", JSON.stringify(config));
  const dns = spawn(
    "pebble-challtestsrv",
    [
      ["-http01", ""],
      ["-https01", ""],
      ["-tlsalpn01", ""],
      ["-dns01", `127.0.0.1:${dnsPort}`],
      ["-management", `127.0.0.1:${dnsControl}`],
      ["-defaultIPv4", "127.0.0.1"],
      ["-defaultIPv6", ""],
    ].flat(),
    { stdio: "ignore" },
  );
  const responder = httpResponder();
  await new Promise<void>((resolve) => responder.server.listen(ownHttpPort, "127.0.0.1", resolve));
  let acme: ChildProcess | undefined;
  const directory = `https://127.0.0.1:${acmePort}/dir`;
  const startAcme = async () => {
    acme = spawn("pebble", ["-config", configFile, "-dnsserver", `127.0.0.1:${dnsPort}`], {
      stdio: "ignore",
      env: { ...process.env, PEBBLE_VA_NOSLEEP: "1", ...options.environment },
    });
    await reachable(acmePort);
  };
  const stopAcme = () => ended(acme);
  await Promise.all([startAcme(), reachable(dnsControl)]);
  const hookFile = file("hook.mjs", HOOK);
  chmodSync(hookFile, 0o700);
  return {
    directory,
    caBundle,
    dnsServer: `127.0.0.1#${dnsPort}`,
    hook: [process.execPath, hookFile, `http://127.0.0.1:${dnsControl}`, join(folder, "hook.log")],
    answerWith: (thumbprint) => {
      responder.thumbprint = thumbprint;
    },
    asked: responder.asked,
    hookRuns: async () => {
      const { readFile } = await import("node:fs/promises");
      const text = await readFile(join(folder, "hook.log"), "utf8").catch(() => "");
      return text.split("\n").filter((line) => line !== "");
    },
    stopAcme,
    startAcme,
    root: async () => {
      const { request } = await import("node:https");
      return new Promise((resolve, reject) => {
        const url = `https://127.0.0.1:${managementPort}/roots/0`;
        const call = request(url, { ca: caBundle, agent: false }, (answer) => {
          const chunks: Buffer[] = [];
          answer.on("data", (chunk: Buffer) => chunks.push(chunk));
          answer.on("end", () => resolve(Buffer.concat(chunks).toString()));
        });
        call.on("error", reject);
        call.end();
      });
    },
    close: async () => {
      await Promise.all([stopAcme(), ended(dns)]);
      responder.server.closeAllConnections();
      await new Promise((resolve) => responder.server.close(resolve));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Writes TXT records to the test's DNS server; notes each run. */
const HOOK = `
import { appendFileSync } from "node:fs";
const [control, log, action] = process.argv.slice(2);
const { BERTH_ACME_RECORD: record, BERTH_ACME_VALUE: value } = process.env;
appendFileSync(log, action + " " + record + "\\n");
const path = action === "present" ? "/set-txt" : "/clear-txt";
const body = JSON.stringify({ host: record + ".", value });
const answer = await fetch(control + path, { method: "POST", body });
if (!answer.ok) { console.error("the DNS server answered " + answer.status); process.exit(3); }
`;

function httpResponder() {
  const asked: string[] = [];
  const state: { thumbprint: string | undefined; asked: string[]; server: Server } = {
    thumbprint: undefined,
    asked,
    server: createServer((request, response) => {
      const path = request.url ?? "";
      asked.push(`${request.headers.host?.split(":")[0]}${path}`);
      const token = path.replace("/.well-known/acme-challenge/", "");
      if (state.thumbprint === undefined || token === path) response.writeHead(404).end("nothing");
      else response.end(`${token}.${state.thumbprint}`);
    }),
  };
  return state;
}

async function reachable(port: number): Promise<void> {
  const { connect } = await import("node:net");
  const end = performance.now() + START_TIMEOUT_MS;
  for (;;) {
    const isThere = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1");
      socket.once("connect", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
    if (isThere) return;
    if (performance.now() > end) throw new RangeError(`nothing listens on port ${port}`);
    await sleep(systemClock, 50);
  }
}

async function ended(child: ChildProcess | undefined): Promise<void> {
  if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const exit = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGKILL");
  await exit;
}
