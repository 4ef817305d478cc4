/** The client's half of RFC 8555 against a scripted server that checks every signature and nonce. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { ProtocolError } from "@berth/protocol";
import { flattenedVerify, importJWK, type JWK } from "jose";
import { newPrivateKey } from "../x509.ts";
import { AcmeSession, thumbprintOf } from "./session.ts";
import type { AcmeRequest, AcmeResponse } from "./transport.ts";

const BASE = "https://acme.test";
const DIRECTORY = {
  newNonce: `${BASE}/nonce`,
  newAccount: `${BASE}/account`,
  newOrder: `${BASE}/order`,
};

type Answer = Partial<AcmeResponse> & { readonly body?: object };

/** Answers POSTs from a script; refuses a nonce that it has not given out, or has seen. */
class Peer {
  readonly seen: {
    readonly url: string;
    readonly header: Record<string, unknown>;
    readonly payload: string;
  }[] = [];
  readonly #answers: Answer[];
  readonly #nonces = new Set<string>();
  #count = 0;
  #jwk: JWK | undefined;

  constructor(...answers: Answer[]) {
    this.#answers = answers;
  }

  readonly transport = async (request: AcmeRequest): Promise<AcmeResponse> => {
    if (request.url === `${BASE}/dir`) return answer({ body: DIRECTORY }, {});
    if (request.method === "HEAD") return answer({}, { "replay-nonce": this.#fresh() });
    const signed = JSON.parse(request.body ?? "");
    const header = JSON.parse(Buffer.from(signed.protected, "base64url").toString());
    this.#jwk = header.jwk ?? this.#jwk;
    assert.ok(this.#jwk);
    const { payload } = await flattenedVerify(signed, await importJWK(this.#jwk, "ES256"));
    assert.equal(header.url, request.url, "the signature is for this address");
    assert.ok(this.#nonces.delete(header.nonce), "a nonce is used once");
    this.seen.push({ url: request.url, header, payload: Buffer.from(payload).toString() });
    const next = this.#answers.shift();
    assert.ok(next, `nothing is scripted for ${request.url}`);
    return answer(next, { "replay-nonce": this.#fresh(), ...next.headers });
  };

  #fresh(): string {
    const nonce = `nonce-${++this.#count}`;
    this.#nonces.add(nonce);
    return nonce;
  }
}

function answer({ status = 200, body, text }: Answer, headers: Record<string, string>) {
  return { status, headers, text: text ?? JSON.stringify(body ?? {}) };
}

function refusal(status: number, type: string, more: object = {}): Answer {
  return { status, body: { type: `urn:ietf:params:acme:error:${type}`, detail: "words", ...more } };
}

const key = newPrivateKey();
const { signal } = new AbortController();

function sessionWith(...answers: Answer[]) {
  const peer = new Peer(...answers);
  const session = new AcmeSession({
    directory: `${BASE}/dir`,
    accountKey: key,
    transport: peer.transport,
  });
  return { peer, session };
}

test("a refused nonce is answered with a new one; six in a row are an error", async () => {
  const bad = refusal(400, "badNonce");
  const account: Answer = { status: 201, headers: { location: `${BASE}/acct/1` } };
  const { peer, session } = sessionWith(bad, bad, account);
  assert.equal(await session.account({ emails: ["a@b.test"] }, signal), `${BASE}/acct/1`);
  assert.equal(peer.seen.length, 3);
  const nonces = new Set(peer.seen.map(({ header }) => header["nonce"]));
  assert.equal(nonces.size, 3);
  const { session: unlucky } = sessionWith(bad, bad, bad, bad, bad, bad);
  await assert.rejects(unlucky.account({ emails: [] }, signal), /badNonce/);
});

test("an account is asked for with its key, everything after by its address", async () => {
  const order = { status: "pending", authorizations: [`${BASE}/authz/1`], finalize: `${BASE}/fin` };
  const { peer, session } = sessionWith(
    { status: 201, headers: { location: `${BASE}/acct/1` } },
    {
      status: 201,
      headers: { location: `${BASE}/order/1` },
      body: { ...order, identifiers: [{ type: "dns", value: "a.test" }] },
    },
  );
  const account = await session.account({ emails: ["a@b.test"] }, signal);
  const made = await session.order(account, ["a.test"], signal);
  assert.deepEqual(made.hosts, ["a.test"]);
  const [first, second] = peer.seen;
  assert.ok(first?.header["jwk"] !== undefined && first.header["kid"] === undefined);
  assert.deepEqual(JSON.parse(first.payload), {
    termsOfServiceAgreed: true,
    contact: ["mailto:a@b.test"],
  });
  assert.equal(second?.header["kid"], account);
  assert.equal(second?.header["jwk"], undefined);
});

test("an external account is bound by a signature of its key over ours", async () => {
  const { peer, session } = sessionWith({ status: 201, headers: { location: `${BASE}/acct/1` } });
  const secret = Buffer.from("a secret of the other side").toString("base64url");
  const external = { keyId: "kid-7", key: secret };
  await session.account({ emails: [], external }, signal);
  const { externalAccountBinding: binding } = JSON.parse(peer.seen[0]?.payload ?? "{}");
  const { payload, protectedHeader } = await flattenedVerify(
    binding,
    Buffer.from(secret, "base64url"),
  );
  assert.deepEqual(protectedHeader, { alg: "HS256", kid: "kid-7", url: DIRECTORY.newAccount });
  assert.deepEqual(JSON.parse(Buffer.from(payload).toString()), peer.seen[0]?.header["jwk"]);
});

test("refusals carry their type, host and wish to wait; trouble of the server is another thing", async () => {
  const subproblems = [
    { type: "x:caa", detail: "no\u001b[31m", identifier: { type: "dns", value: "b.test" } },
  ];
  const { session } = sessionWith(
    { ...refusal(429, "rateLimited", { subproblems }), headers: { "retry-after": "90" } },
    { status: 503, text: "<html>busy</html>" },
    { status: 200, text: "no json" },
  );
  // The peer learns the account's key from the first request.
  const limited = await refused(session.account({ emails: [] }, signal));
  assert.equal(limited.code, "invalid_certificate");
  assert.equal(limited.details["acmeType"], "rateLimited");
  assert.equal(limited.details["retryAfterMs"], 90_000);
  assert.equal(limited.details["host"], "b.test");
  assert.ok(!limited.message.includes("\u001b"), "nothing that a terminal would obey");
  const read = () => session.readOrder(`${BASE}/acct/1`, `${BASE}/order/1`, signal);
  assert.equal((await refused(read())).code, "unavailable");
  assert.match((await refused(read())).message, /no JSON object/);
});

function refused(call: Promise<unknown>): Promise<ProtocolError> {
  return call.then(
    () => assert.fail("it went well"),
    (error: unknown) => {
      assert.ok(error instanceof ProtocolError);
      return error;
    },
  );
}

test("a lost order is found again among the account's, for exactly its hosts and while it can be used", async () => {
  const order = (status: string, ...hosts: string[]): Answer => ({
    body: {
      status,
      finalize: `${BASE}/fin`,
      authorizations: [],
      identifiers: hosts.map((value) => ({ type: "dns", value })),
    },
  });
  const orders = [1, 2, 3, 4].map((number) => `${BASE}/order/${number}`);
  const { session } = sessionWith(
    { status: 201, headers: { location: `${BASE}/acct/1` } },
    { body: { orders: `${BASE}/orders` } },
    { body: { orders } },
    order("valid", "a.test", "b.test"),
    order("pending", "a.test"),
    order("ready", "b.test", "a.test"),
  );
  const account = await session.account({ emails: [] }, signal);
  const found = await session.findOrder(account, ["a.test", "b.test"], signal);
  assert.equal(found?.url, `${BASE}/order/2`, "the newest first");
});

test("a token's answer is the token and the thumbprint of the account's key", async () => {
  const { session } = sessionWith();
  assert.equal(await session.keyAuthorization("token"), `token.${await thumbprintOf(key)}`);
});
