import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import { test } from "node:test";
import { DAY_MS, HOUR_MS } from "@berth/base";
import { bundleProblem, type ReadResult, readCertificate } from "./read-certificate.ts";
import { NOW, testAuthority, testLeaf } from "./testing/certificates.ts";

const authority = await testAuthority();
const leaf = await testLeaf(["shop.test", "*.shop.test"], { authority });
const other = await testLeaf(["other.test"], { authority: await testAuthority() });

function problemsOf(result: ReadResult): readonly string[] {
  return result.kind === "wrong" ? result.problems : [];
}

test("a sound chain is read: its facts, and one text for HAProxy", () => {
  const certificate = leaf.certificate + authority.certificate;
  const result = readCertificate({ certificate, key: leaf.key, now: NOW });
  assert.equal(result.kind, "read");
  if (result.kind !== "read") return;
  const { facts, pem } = result;
  assert.deepEqual(
    { ...facts, fingerprint: "", serial: "" },
    {
      subject: "",
      issuer: "CN=Berth cluster c0ffee00, O=Berth",
      serial: "",
      fingerprint: "",
      notBefore: NOW - HOUR_MS,
      notAfter: NOW + 90 * DAY_MS,
      hosts: ["shop.test", "*.shop.test"],
      key: "EC P-256",
      chainLength: 2,
    },
  );
  assert.match(facts.fingerprint, /^([0-9A-F]{2}:){31}[0-9A-F]{2}$/);
  assert.deepEqual(
    [...pem.matchAll(/BEGIN ([A-Z ]+)/g)].map(([, label]) => label),
    ["CERTIFICATE", "CERTIFICATE", "PRIVATE KEY"],
  );
});

test("certificate and key may lie in one file, with words and Windows' line ends between them", () => {
  const text = `issued for you\r\n${leaf.certificate.replaceAll("\n", "\r\n")}\r\n${leaf.key}`;
  assert.equal(readCertificate({ certificate: text, key: text, now: NOW }).kind, "read");
});

const rsa = generateKeyPairSync("rsa", { modulusLength: 1_024 }).privateKey;
const encrypted = generateKeyPairSync("ec", { namedCurve: "P-256" }).privateKey.export({
  type: "pkcs8",
  format: "pem",
  cipher: "aes-256-cbc",
  passphrase: "secret",
});
const damaged = leaf.certificate.replace(/\n.{20}/, `\n${"A".repeat(20)}`);
const expired = await testLeaf(["old.test"], { authority, now: NOW - 100 * DAY_MS });
const future = await testLeaf(["new.test"], { authority, now: NOW + 10 * DAY_MS });

const WRONG: readonly {
  readonly name: string;
  readonly certificate: string;
  readonly key: string;
  readonly problems: readonly RegExp[];
}[] = [
  {
    name: "nothing at all",
    certificate: "",
    key: "",
    problems: [/holds no certificate in PEM form/, /holds no private key in PEM form/],
  },
  {
    name: "garbage in the right clothes",
    certificate: damaged,
    key: leaf.key,
    problems: [/certificate 1 of the file cannot be read/],
  },
  {
    name: "another certificate's key",
    certificate: leaf.certificate,
    key: other.key,
    problems: [/key does not belong to the certificate of shop\.test/],
  },
  {
    name: "the chain upside down",
    certificate: authority.certificate + leaf.certificate,
    key: leaf.key,
    problems: [/wrong order: the key's own certificate is number 2/],
  },
  {
    name: "a stranger in the chain",
    certificate: leaf.certificate + other.certificate,
    key: leaf.key,
    problems: [
      /certificate 1 \(shop\.test\) was not issued by certificate 2 \(other\.test\), but by CN=Berth/,
    ],
  },
  {
    name: "an expired one",
    certificate: expired.certificate,
    key: expired.key,
    problems: [/expired at 2026-05-2/],
  },
  {
    name: "one of the future",
    certificate: future.certificate,
    key: future.key,
    problems: [/not valid before 2026-06-10/],
  },
  {
    name: "one without hosts",
    certificate: authority.certificate,
    key: authority.key,
    problems: [/names no host/],
  },
  {
    name: "a key with a passphrase",
    certificate: leaf.certificate,
    key: String(encrypted),
    problems: [/protected by a passphrase/],
  },
  {
    name: "a weak key",
    certificate: leaf.certificate,
    key: String(rsa.export({ type: "pkcs8", format: "pem" })),
    problems: [/1024 bits, at least 2048/],
  },
];

for (const { name, certificate, key, problems } of WRONG) {
  test(`refused: ${name}`, () => {
    const found = problemsOf(readCertificate({ certificate, key, now: NOW }));
    assert.equal(found.length, problems.length, found.join("; "));
    for (const [index, pattern] of problems.entries()) assert.match(found[index] ?? "", pattern);
    assert.ok(!found.join().includes("PRIVATE KEY-----\nM"), "no content in the words");
  });
}

test("a bundle holds certificates that can be read", () => {
  assert.equal(bundleProblem(authority.certificate + leaf.certificate), undefined);
  assert.match(bundleProblem("hello") ?? "", /no certificate/);
  assert.match(bundleProblem(authority.certificate + damaged) ?? "", /certificate 2 .* damaged/);
});
