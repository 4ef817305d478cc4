import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { serversOfAgent, writeServers } from "../connection/known-servers.ts";
import { platformPaths } from "./paths.ts";
import { servers } from "./server-reach.ts";
import { defaultSettings } from "./settings.ts";

test("a server is reached at one of its addresses, or told with what to do", async (context) => {
  const folder = mkdtempSync(join(tmpdir(), "berth-reach-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const listening = createServer().listen(0, "127.0.0.1");
  context.after(() => listening.close());
  await new Promise((resolve) => listening.once("listening", resolve));
  const address = listening.address();
  assert.ok(typeof address === "object" && address !== null);
  const open = `https://127.0.0.1:${address.port}`;
  const closed = "https://127.0.0.1:9";
  const paths = platformPaths(folder, {}, 0);
  const check = { paths, settings: defaultSettings(), environment: {} };
  assert.deepEqual(await servers(check), []);
  const rest = { authority: "pem", version: "0.1.0", protocol: 2, at: 0 };
  const told = [
    { ...rest, node: "a", urls: [closed, open] },
    { ...rest, node: "b", urls: [closed] },
  ];
  writeServers(serversOfAgent(paths), { at: 0, servers: told });
  const found = await servers(check);
  assert.deepEqual(
    found.map(({ level, message }) => [level, message]),
    [
      ["ok", `the server on a is reached at ${open}`],
      ["warning", `the server on b is not reached at ${closed}`],
    ],
  );
});
