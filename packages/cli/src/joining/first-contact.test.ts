/** The first connection to a cluster: the right fingerprint, another cluster's, nobody. */

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { silentLogger, systemClock } from "@berth/base";
import { CLOSED_ENTRANCE } from "@berth/control-plane/joining/entrance";
import { type RunningServer, runServer } from "@berth/control-plane/server/run-server";
import { type Invitation, ProtocolError } from "@berth/protocol";
import { HttpClient } from "@berth/protocol/client/http-client";
import { authorityAt, normalFingerprint } from "./first-contact.ts";

let folder: string;
let server: RunningServer;
let invitation: Invitation;
let authority: string;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), "berth-contact-"));
  const clusterPort = {
    ...{ host: "127.0.0.1", port: 0, addresses: () => ["127.0.0.1"] },
    software: CLOSED_ENTRANCE.software,
  };
  server = await runServer({
    ...{ dataDir: folder, listen: { host: "127.0.0.1", port: 0 }, clusterPort },
    ...{ clock: systemClock, log: silentLogger, nodeName: "node-1", version: "0.1.0" },
  });
  const token = (await readFile(join(folder, "admin.token"), "utf8")).trim();
  const admin = new HttpClient({ url: server.url, token });
  invitation = await admin.call("createJoinToken", { params: {}, body: {} });
  authority = (await admin.call("getAuthority", { params: {} })).certificate;
  admin.close();
});
after(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

function urlOf(): string {
  return invitation.urls[0] ?? "";
}

test("the authority is believed by its fingerprint, however that is written", async () => {
  const { fingerprint } = invitation;
  for (const text of [fingerprint, fingerprint.replaceAll(":", "").toLowerCase()]) {
    assert.equal((await authorityAt(urlOf(), text)).trim(), authority.trim());
  }
});

test("another cluster is told apart, and so are addresses of nobody and of none", async () => {
  const other = "0".repeat(64);
  await assert.rejects(
    authorityAt(urlOf(), other),
    (error) => error instanceof ProtocolError && error.code === "foreign_cluster",
  );
  await assert.rejects(authorityAt("https://127.0.0.1:9", other), /cannot reach 127.0.0.1:9/);
  await assert.rejects(authorityAt(server.url, other), /is no address of a cluster/);
  assert.throws(() => normalFingerprint("AB:CD"), /is no fingerprint/);
});
