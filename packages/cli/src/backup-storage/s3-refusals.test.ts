import assert from "node:assert/strict";
import { test } from "node:test";
import { refusalOf, unreachable } from "./s3-refusals.ts";

const NOW = Date.UTC(2026, 10, 27, 12);
const SETTINGS = {
  endpoint: new URL("https://s3.example"),
  region: "us-east-1",
  authorities: undefined,
  credentials: { accessKeyId: "AKIA", secretAccessKey: "hidden" },
};
const LOCATION = { bucket: "backups", key: "a.tar" };

interface Row {
  readonly what: string;
  readonly status: number;
  readonly xml?: string;
  readonly date?: string;
  readonly code: string;
  readonly words: RegExp;
}

function refusal({ status, xml = "", date }: Row) {
  const text = xml === "" ? "" : `<?xml version="1.0"?><Error>${xml}</Error>`;
  return refusalOf({ settings: SETTINGS, location: LOCATION, status, text, date, now: NOW });
}

const ROWS: readonly Row[] = [
  {
    ...{ what: "a bucket in another region", status: 301 },
    xml: "<Code>PermanentRedirect</Code><Endpoint>backups.s3.eu-west-3.amazonaws.com</Endpoint>",
    ...{ code: "storage_refused", words: /not in us-east-1: it is in backups\.s3\.eu-west-3/ },
  },
  {
    ...{ what: "a denial without words", status: 403 },
    ...{
      code: "storage_refused",
      words: /does not allow the key AKIA to use s3:\/\/backups\/a.tar, or/,
    },
  },
  {
    ...{ what: "a denial by a clock that is far off", status: 403 },
    date: "Fri, 27 Nov 2026 13:00:00 GMT",
    ...{ code: "clock_skew", words: /clock is 60 min behind that of s3.example, which allows 15/ },
  },
  {
    ...{ what: "a key that is unknown", status: 403, xml: "<Code>InvalidAccessKeyId</Code>" },
    ...{ code: "storage_refused", words: /does not accept the credentials of the key AKIA/ },
  },
  {
    ...{ what: "an overload", status: 503, xml: "<Code>SlowDown</Code><Message>Wait</Message>" },
    ...{ code: "unavailable", words: /s3.example answered 503 SlowDown: Wait/ },
  },
  {
    ...{ what: "a request that took too long", status: 400, xml: "<Code>RequestTimeout</Code>" },
    ...{ code: "unavailable", words: /RequestTimeout/ },
  },
  {
    ...{ what: "what the storage cannot do", status: 501, xml: "<Code>NotImplemented</Code>" },
    ...{ code: "storage_refused", words: /501 NotImplemented/ },
  },
];

for (const row of ROWS) {
  test(`${row.what} is said in words, and never with the secret`, () => {
    const { code, message, details } = refusal(row);
    assert.equal(code, row.code);
    assert.match(message, row.words);
    assert.ok(!JSON.stringify([message, details]).includes("hidden"));
  });
}

test("who is not there may come back; who is not trusted is no matter of time", () => {
  const failed = (code: string) => Object.assign(new Error(`it was ${code}`), { code });
  assert.equal(unreachable(SETTINGS, failed("ECONNREFUSED")).code, "unavailable");
  const untrusted = unreachable(SETTINGS, failed("DEPTH_ZERO_SELF_SIGNED_CERT"));
  assert.equal(untrusted.code, "storage_refused");
  assert.match(untrusted.message, /is not trusted \(DEPTH_ZERO_SELF_SIGNED_CERT\): --s3-ca FILE/);
});
