/** Certificates for tests, made by openssl: a day long, signed by themselves. */

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";

/** Chain and key as PEM, for `hosts`; the first is the common name. */
export function selfSigned(...hosts: readonly string[]): string {
  const folder = mkdtempSync(`${tmpdir()}/bcert-`);
  try {
    const [key, certificate] = [`${folder}/key.pem`, `${folder}/cert.pem`];
    const names = hosts.map((host) => `DNS:${host}`).join(",");
    execFileSync(
      "openssl",
      ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
        .concat(["-keyout", key, "-out", certificate, "-days", "1", "-subj", `/CN=${hosts[0]}`])
        .concat(["-addext", `subjectAltName=${names}`]),
      { stdio: "ignore" },
    );
    return readFileSync(certificate, "utf8") + readFileSync(key, "utf8");
  } finally {
    rmSync(folder, { recursive: true });
  }
}
