import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type TestContext, test } from "node:test";
import type { CommandInput } from "../command.ts";
import { parseS3Location, s3Settings } from "./s3-settings.ts";

test("a location is a bucket and a key, whatever signs the key has", () => {
  assert.deepEqual(parseS3Location("s3://backups/a/b c+é.tar"), {
    bucket: "backups",
    key: "a/b c+é.tar",
  });
});

for (const [word, why] of [
  ["s3://", /"" is no name of a bucket/],
  ["s3://Backups/x", /"Backups" is no name of a bucket \(3 to 63/],
  ["s3://backups", /which object\? its key is missing; expected s3:\/\/BUCKET\/KEY/],
  ["s3://backups/folder/", /its key is missing/],
  ["s3://backups/a/../b", /no \. or \.\. between slashes/],
  [`s3://backups/${"x".repeat(1025)}`, /the key has 1025 bytes, 1024 are allowed/],
] as const) {
  test(`${word.slice(0, 24)} is refused with the reason`, () => {
    assert.throws(() => parseS3Location(word), why);
  });
}

function inputWith(
  folder: string,
  environment: Readonly<Record<string, string>>,
  options: Readonly<Record<string, string>> = {},
): CommandInput {
  return { environment, options, workingDirectory: folder } as unknown as CommandInput;
}

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), "s3-settings-"));
  context.after(() => rmSync(folder, { recursive: true }));
  return folder;
}

const KEY = { AWS_ACCESS_KEY_ID: "id", AWS_SECRET_ACCESS_KEY: "hidden" };

test("the key comes from the file that is named, else the environment, else the home folder", (context) => {
  const folder = folderOf(context);
  const text = [
    "[default]",
    "aws_access_key_id = first",
    "aws_secret_access_key = one",
    "",
    "# another",
    "[other]",
    "aws_access_key_id=second",
    "aws_secret_access_key=two==",
    "aws_session_token = token",
  ];
  writeFileSync(join(folder, "keys"), text.join("\r\n"));
  const named = { s3Credentials: "keys" };
  const first = { accessKeyId: "first", secretAccessKey: "one" };
  assert.deepEqual(s3Settings(inputWith(folder, KEY, named)).credentials, first);
  const other = inputWith(folder, { ...KEY, AWS_PROFILE: "other" }, named);
  assert.deepEqual(s3Settings(other).credentials, {
    ...{ accessKeyId: "second", secretAccessKey: "two==", sessionToken: "token" },
  });
  const shared = { AWS_SHARED_CREDENTIALS_FILE: "keys" };
  assert.equal(s3Settings(inputWith(folder, { ...shared, ...KEY })).credentials.accessKeyId, "id");
  assert.deepEqual(s3Settings(inputWith(folder, shared)).credentials, first);
  assert.throws(
    () => s3Settings(inputWith(folder, { ...shared, AWS_PROFILE: "none" })),
    /keys has no aws_access_key_id and aws_secret_access_key for the profile none/,
  );
  assert.throws(
    () => s3Settings(inputWith(folder, { HOME: folder })),
    /no credentials for the storage/,
  );
});

test("endpoint and region have defaults; an option goes before the environment", (context) => {
  const folder = folderOf(context);
  const endpointOf = (environment: object, options = {}) =>
    s3Settings(inputWith(folder, { ...KEY, ...environment }, options)).endpoint.href;
  assert.equal(endpointOf({}), "https://s3.us-east-1.amazonaws.com/");
  assert.equal(endpointOf({ AWS_REGION: "eu-west-3" }), "https://s3.eu-west-3.amazonaws.com/");
  const environment = { AWS_ENDPOINT_URL: "http://a:9000", AWS_ENDPOINT_URL_S3: "http://b:9000" };
  assert.equal(endpointOf(environment), "http://b:9000/");
  assert.equal(endpointOf(environment, { s3Endpoint: "https://c" }), "https://c/");
});

test("an endpoint that is none is refused without saying it again: it may have a password in it", (context) => {
  const folder = folderOf(context);
  for (const endpoint of [
    "s3.example",
    "ftp://s3.example",
    "https://me:hidden@s3.example",
    "https://h/path",
  ]) {
    assert.throws(
      () => s3Settings(inputWith(folder, { ...KEY, AWS_ENDPOINT_URL: endpoint })),
      ({ message }: Error) =>
        /expected https:\/\/HOST/.test(message) && !message.includes("hidden"),
    );
  }
});
