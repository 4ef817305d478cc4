/** `berth acme set | show | rm` */

import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { parseDuration } from "@berth/base";
import { type AcmeInput, ProtocolError } from "@berth/protocol";
import { acmeLines } from "../certificates/certificate-lines.ts";
import {
  type CommandDescription,
  type CommandInput,
  flagOption,
  listOption,
  textOption,
} from "../command.ts";
import { EXIT } from "../exit-code.ts";

const CLUSTER_WIDE = {
  flags: "--cluster-wide",
  summary: "for every environment that has none of its own",
} as const;

function scopeQuery(input: CommandInput): { readonly clusterWide?: string } {
  return flagOption(input, "clusterWide") ? { clusterWide: "true" } : {};
}

export const set: CommandDescription = {
  summary: "set the ACME server that certificates come from",
  details:
    "There is no default: Berth contacts no certificate authority until you set one, and setting it means that you agree to its terms. From then on, hosts of routes with TLS that have no certificate of their own get one there, and keep it renewed. http-01 needs the hosts' port 80 to lead to an ingress node; dns-01 needs a hook, and can do wildcards.",
  options: [
    { flags: "--directory <url>", summary: "the ACME server's directory, https://..." },
    { flags: "--email <address...>", summary: "where it may write to you" },
    { flags: "--ca-bundle <file>", summary: "PEM that its own certificate is checked against" },
    { flags: "--eab-kid <id>", summary: "external account: key identifier" },
    {
      flags: "--eab-key-file <file>",
      summary: "external account: file with the HMAC key, base64url",
    },
    { flags: "--challenge <type>", summary: "http-01 or dns-01", fallback: "http-01" },
    {
      flags: "--hook <word...>",
      summary: "program (absolute path on the server) that makes DNS records; repeat for arguments",
    },
    { flags: "--hook-timeout <duration>", summary: "for one run of it", fallback: "60s" },
    {
      flags: "--dns-server <address...>",
      summary: "must all have the record (default: the zone's own)",
    },
    {
      flags: "--propagation-timeout <duration>",
      summary: "how long they are waited for",
      fallback: "2m",
    },
    {
      flags: "--only <host...>",
      summary: "only these hosts, *.example.com for all below",
    },
    CLUSTER_WIDE,
  ],
  examples: [
    {
      line: "berth acme set --directory https://acme.corp.example/directory --ca-bundle corp.pem --email ops@corp.example",
      does: "a private ACME server for this environment",
    },
    {
      line: "berth acme set --directory https://acme-v02.api.letsencrypt.org/directory --email ops@example.com --only '*.example.com'",
      does: "Let's Encrypt, for names below example.com",
    },
    {
      line: "berth acme set --directory URL --email A --challenge dns-01 --hook /etc/berth/dns-hook --hook --zone=example.com",
      does: "proves by DNS records that a program makes",
    },
  ],
  async run(input) {
    const { output, signal } = input;
    const settings = await input.connect().call("setAcme", {
      params: input.scope(),
      query: scopeQuery(input),
      body: await bodyOf(input),
      signal,
    });
    if (output.json) output.line(JSON.stringify(settings));
    else for (const line of acmeLines(settings)) output.line(line);
    return EXIT.done;
  },
};

async function bodyOf(input: CommandInput): Promise<AcmeInput> {
  const directory = textOption(input, "directory");
  if (directory === undefined) {
    throw new ProtocolError("invalid_request", "--directory is missing: there is no default");
  }
  const caBundle = await fileOption(input, "caBundle", "--ca-bundle");
  const hook = listOption(input, "hook");
  const only = listOption(input, "only");
  const dnsServers = listOption(input, "dnsServer");
  const hookTimeoutMs = durationOption(input, "hookTimeout", "--hook-timeout");
  const propagationTimeoutMs = durationOption(input, "propagationTimeout", "--propagation-timeout");
  const external = await externalAccount(input);
  return {
    directory,
    emails: [...listOption(input, "email")],
    challenge: challengeOf(textOption(input, "challenge") ?? "http-01"),
    ...(caBundle === undefined ? {} : { caBundle }),
    ...(hook.length === 0 ? {} : { hook: [...hook] }),
    ...(only.length === 0 ? {} : { only: [...only] }),
    ...(dnsServers.length === 0 ? {} : { dnsServers: [...dnsServers] }),
    ...(hookTimeoutMs === undefined ? {} : { hookTimeoutMs }),
    ...(propagationTimeoutMs === undefined ? {} : { propagationTimeoutMs }),
    ...(external === undefined ? {} : { externalAccount: external }),
  };
}

function challengeOf(text: string): "http-01" | "dns-01" {
  if (text === "http-01" || text === "dns-01") return text;
  throw new ProtocolError("invalid_request", `--challenge is http-01 or dns-01, not ${text}`);
}

async function externalAccount(input: CommandInput) {
  const keyId = textOption(input, "eabKid");
  const key = (await fileOption(input, "eabKeyFile", "--eab-key-file"))?.trim();
  if (keyId === undefined && key === undefined) return undefined;
  if (keyId !== undefined && key !== undefined) return { keyId, key };
  const message = "an external account has both --eab-kid and --eab-key-file";
  throw new ProtocolError("invalid_request", message);
}

async function fileOption(
  input: CommandInput,
  name: string,
  flag: string,
): Promise<string | undefined> {
  const file = textOption(input, name);
  if (file === undefined) return undefined;
  const path = resolve(input.workingDirectory, file);
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    const message = `${flag}: ${path} cannot be read: ${words}`;
    throw new ProtocolError("invalid_request", message, { path }, { cause: error });
  }
}

function durationOption(input: CommandInput, name: string, flag: string): number | undefined {
  const text = textOption(input, name);
  if (text === undefined) return undefined;
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  throw new ProtocolError("invalid_request", `${flag}: "${text}" is no duration, like 90s or 2m`);
}

export const show: CommandDescription = {
  summary: "the ACME server that is set, and the account there",
  options: [CLUSTER_WIDE],
  examples: [{ line: "berth acme show", does: "of this environment, else the cluster's" }],
  async run(input) {
    const { output, signal } = input;
    const params = input.scope();
    const settings = await input
      .connect()
      .call("getAcme", { params, query: scopeQuery(input), signal });
    if (output.json) output.line(JSON.stringify(settings));
    else for (const line of acmeLines(settings)) output.line(line);
    return EXIT.done;
  },
};

export const remove: CommandDescription = {
  summary: "forget the ACME server: it is not contacted any more",
  details: "Certificates from there are served on until routes get one of the cluster's authority.",
  options: [CLUSTER_WIDE],
  examples: [{ line: "berth acme rm", does: "the environment's setting" }],
  async run(input) {
    const { output, signal } = input;
    const params = input.scope();
    const settings = await input
      .connect()
      .call("removeAcme", { params, query: scopeQuery(input), signal });
    output.line(output.json ? JSON.stringify(settings) : `${settings.directory} is forgotten`);
    return EXIT.done;
  },
};
