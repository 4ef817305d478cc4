/** `berth certificate add | ls | show | issue | renew | rm` */

import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import {
  CERTIFICATE_NAME_PATTERN,
  type Certificate,
  type CertificateView,
  ProtocolError,
} from "@berth/protocol";
import { allPages, pageQuery } from "../all-pages.ts";
import { certificatePage, LIST_HEADER, listRow } from "../certificates/certificate-lines.ts";
import { followOrder } from "../certificates/follow-order.ts";
import { type CommandDescription, type CommandInput, flagOption, textOption } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { EXIT } from "../exit-code.ts";
import { table } from "../output/output.ts";

/** Larger is no certificate or key. */
const FILE_BYTES_MAX = 100_000;

const CLUSTER_WIDE = {
  flags: "--cluster-wide",
  summary: "for every environment instead of this one",
} as const;
const NAME = {
  name: "name",
  summary: "its name, see berth certificate ls",
  required: true,
} as const;

function scopeQuery(input: CommandInput): { readonly clusterWide?: string } {
  return flagOption(input, "clusterWide") ? { clusterWide: "true" } : {};
}

function paramsOf(input: CommandInput, certificate: string) {
  return { ...input.scope(), certificate };
}

export const add: CommandDescription = {
  summary: "hand in a certificate with its key",
  details:
    "Checked before it is taken: the key belongs to it, the chain is complete and in order, it is in time and names hosts. Routes with TLS for these hosts are served with it at once. Under a name that exists it takes the place of that one, without a lost connection. The key is stored sealed and never shown again.",
  arguments: [{ name: "name", summary: "often the host: shop.example.com", required: true }],
  options: [
    { flags: "--cert <file>", summary: "certificate and the rest of its chain, PEM" },
    { flags: "--key <file>", summary: "private key, PEM, without a passphrase" },
    CLUSTER_WIDE,
  ],
  examples: [
    {
      line: "berth certificate add shop.example.com --cert fullchain.pem --key privkey.pem",
      does: "for the environment's routes",
    },
    {
      line: "berth certificate add default --cert c.pem --key k.pem --cluster-wide",
      does: "also shown to clients that name no host of a route",
    },
  ],
  async run(input) {
    const [name = ""] = input.words;
    const body = {
      certificate: await textOf(input, "cert"),
      key: await textOf(input, "key"),
    };
    const params = paramsOf(input, name);
    const query = scopeQuery(input);
    const { signal } = input;
    const view = await input.connect().call("putCertificate", { params, query, body, signal });
    return told(input, view, `${name} is taken for ${view.certificate.hosts.join(" ")}`);
  },
};

async function textOf(input: CommandInput, option: string): Promise<string> {
  const name = textOption(input, option);
  if (name === undefined) {
    throw new ProtocolError("invalid_request", `--${option} is missing`);
  }
  const path = resolve(input.workingDirectory, name);
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const words = error instanceof Error ? error.message : String(error);
    const message = `--${option}: ${path} cannot be read: ${words}`;
    throw new ProtocolError("invalid_request", message, { path }, { cause: error });
  }
  if (text.length <= FILE_BYTES_MAX) return text;
  const message = `--${option}: ${path} has ${text.length} bytes, at most ${FILE_BYTES_MAX}`;
  throw new ProtocolError("invalid_request", message, { path });
}

export const list: CommandDescription = {
  summary: "certificates, what they are for and when they expire",
  options: [{ flags: "-a, --all", summary: "of every project and environment" }],
  examples: [
    { line: "berth certificate ls", does: "of this environment, and the cluster-wide ones" },
    { line: "berth certificate ls --all --json", does: "everything, for monitoring" },
  ],
  async run(input) {
    const { output, signal } = input;
    const all = flagOption(input, "all") ? { all: "true" } : {};
    const api = input.connect();
    const views = await allPages((after) =>
      api.call("listCertificates", {
        params: input.scope(),
        query: { ...all, ...pageQuery(after) },
        signal,
      }),
    );
    if (output.json) for (const view of views) output.line(JSON.stringify(view));
    else {
      const rows = views.map((view) => listRow(view, Date.now()));
      for (const line of table(LIST_HEADER, rows)) output.line(line);
    }
    return EXIT.done;
  },
};

export const show: CommandDescription = {
  summary: "one certificate, with every step of its order",
  arguments: [NAME],
  options: [CLUSTER_WIDE],
  examples: [
    {
      line: "berth certificate show shop.example.com",
      does: "issuer, times, routes, nodes, and which step failed",
    },
  ],
  async run(input) {
    const [name = ""] = input.words;
    const { output, signal } = input;
    const view = await input
      .connect()
      .call("getCertificate", { params: paramsOf(input, name), query: scopeQuery(input), signal });
    if (output.json) output.line(JSON.stringify(view));
    else for (const line of certificatePage(view, Date.now(), output.paint)) output.line(line);
    return EXIT.done;
  },
};

export const issue: CommandDescription = {
  summary: "have a certificate issued, by ACME or by the cluster's own authority",
  details:
    "Routes with TLS get one by themselves; this is for several hosts in one certificate, for wildcards, or to see at once whether it works. Waits until it is there, and shows every step.",
  arguments: [
    { name: "host", summary: "shop.example.com, *.example.com", required: true, variadic: true },
  ],
  options: [
    { flags: "--acme", summary: "from the ACME server that is set (berth acme show)" },
    { flags: "--ca", summary: "from the cluster's own authority (berth ca show)" },
    { flags: "--name <name>", summary: "its name", fallback: "the first host" },
    { flags: "-d, --detach", summary: "do not wait" },
    CLUSTER_WIDE,
  ],
  examples: [
    { line: "berth certificate issue shop.example.com --acme", does: "one host by ACME" },
    {
      line: "berth certificate issue example.com '*.example.com' --acme",
      does: "with a wildcard, which needs DNS-01",
    },
    { line: "berth certificate issue intranet.local 10.0.0.7 --ca", does: "by the cluster itself" },
  ],
  async run(input) {
    const hosts = [...input.words];
    const [first = ""] = hosts;
    const isAcme = flagOption(input, "acme");
    if (isAcme === flagOption(input, "ca")) {
      throw new ProtocolError("invalid_request", "say either --acme or --ca");
    }
    const name = textOption(input, "name") ?? nameFor(first);
    const source = isAcme ? ("acme" as const) : ("cluster-ca" as const);
    const { signal } = input;
    const view = await input.connect().call("issueCertificate", {
      params: paramsOf(input, name),
      query: scopeQuery(input),
      body: { hosts, source },
      signal,
    });
    return followed(input, view);
  },
};

/** The host itself; what no name may have (an IPv6 address, a mistake) becomes a dash. */
function nameFor(host: string): string {
  const name = host.toLowerCase().replace(/[^a-z0-9._*-]/g, "-");
  return new RegExp(CERTIFICATE_NAME_PATTERN).test(name) ? name : "certificate";
}

export const renew: CommandDescription = {
  summary: "get a new certificate now",
  details:
    "Certificates are renewed by themselves after two thirds of their lifetime. This is for after a failure that was mended, or a key that was seen.",
  arguments: [NAME],
  options: [{ flags: "-d, --detach", summary: "do not wait" }, CLUSTER_WIDE],
  examples: [{ line: "berth certificate renew shop.example.com", does: "and shows every step" }],
  async run(input) {
    const [name = ""] = input.words;
    const { signal } = input;
    const view = await input.connect().call("renewCertificate", {
      params: paramsOf(input, name),
      query: scopeQuery(input),
      signal,
    });
    return followed(input, view);
  },
};

export const remove: CommandDescription = {
  summary: "remove a certificate and its key",
  details:
    "Says which routes lose it. They are served with another one that fits, or get an automatic one, within a second.",
  arguments: [NAME],
  options: [{ flags: "-y, --yes", summary: "do not ask" }, CLUSTER_WIDE],
  examples: [{ line: "berth certificate rm shop.example.com", does: "asks, then removes it" }],
  async run(input) {
    const [name = ""] = input.words;
    const { output, signal } = input;
    const api = input.connect();
    const params = paramsOf(input, name);
    const query = scopeQuery(input);
    const { usedBy } = await api.call("getCertificate", { params, query, signal });
    const users = usedBy.length === 0 ? "no route uses it" : "these routes lose it:";
    output.note(`removes certificate ${name} with its key; ${users}`);
    for (const route of usedBy) output.note(`  ${route}`);
    if (!(await confirmed(input, name, "the certificate's name"))) return EXIT.failed;
    const view = await api.call("removeCertificate", { params, query, signal });
    return told(input, view, `${name} is removed`);
  },
};

/** Shows how it goes until it is there. */
async function followed(input: CommandInput, view: CertificateView): Promise<number> {
  const { name } = view.certificate;
  if (flagOption(input, "detach")) {
    return told(input, view, `${name} is being issued: berth certificate show ${name}`);
  }
  const { output, signal } = input;
  const api = input.connect();
  const done = await followOrder({ api, output, signal, wished: view.certificate });
  return told(input, { ...view, certificate: done }, issuedWords(done));
}

function issuedWords({ name, current }: Certificate): string {
  if (current === undefined) return name;
  const until = new Date(current.notAfter).toISOString().slice(0, 10);
  return `${name} is issued by ${current.issuer}, until ${until}`;
}

function told({ output }: CommandInput, view: CertificateView, words: string): number {
  output.line(output.json ? JSON.stringify(view) : words);
  return EXIT.done;
}
