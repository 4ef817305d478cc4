/** `berth ca show | export` */

import { authorityLines } from "../certificates/certificate-lines.ts";
import type { CommandDescription } from "../command.ts";
import { EXIT } from "../exit-code.ts";

export const show: CommandDescription = {
  summary: "the cluster's own authority for certificates",
  examples: [{ line: "berth ca show", does: "its name, fingerprint and time" }],
  async run(input) {
    const { output, signal } = input;
    const authority = await input.connect().call("getAuthority", { params: {}, signal });
    if (output.json) output.line(JSON.stringify(authority));
    else for (const line of authorityLines(authority, Date.now())) output.line(line);
    return EXIT.done;
  },
};

export const exportPem: CommandDescription = {
  summary: "print the authority's certificate, so that clients can trust it",
  details:
    "PEM on standard output; its private key never leaves the server. Where to put it: docs/operating/certificates.md.",
  examples: [
    { line: "berth ca export > berth-ca.pem", does: "into a file" },
    {
      line: "curl --cacert berth-ca.pem https://shop.localhost:8443/",
      does: "a request that checks the certificate",
    },
  ],
  async run(input) {
    const { output, signal } = input;
    const authority = await input.connect().call("getAuthority", { params: {}, signal });
    output.line(output.json ? JSON.stringify(authority) : authority.certificate.trimEnd());
    return EXIT.done;
  },
};
