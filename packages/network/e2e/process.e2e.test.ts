/** The process as the agent sees it: what is refused, what survives, who may run. */

import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { globSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { inNamespace, loopbackModel, netUnderTest, until } from "./lab.ts";

/** Name and scheduling class of every thread of a process; 0 is the ordinary class, 1 SCHED_FIFO (proc(5)). */
function standingsOf(pid: number): string[] {
  return globSync(`/proc/${pid}/task/*/stat`).map((file) => {
    const [, name = "", rest = ""] = /^\d+ \((.*)\) (.*)$/s.exec(readFileSync(file, "utf8")) ?? [];
    return `${name} ${rest.split(" ")[38]}`;
  });
}

inNamespace(import.meta.url, () => {
  const net = netUnderTest();
  const quiet = { ...loopbackModel(0, {}).ingress, httpRoutes: [] };
  const model = (generation: number) => loopbackModel(generation, { ingress: quiet });

  before(() => net.start());

  test("a model is answered with a report of each part, the same one again with the same", async () => {
    const ok = { state: "ok", generation: 5, problems: [] };
    const parts = { dns: ok, ingress: ok, firewall: ok, addresses: ok, overlay: ok };
    const expected = { generation: 5, ...parts };
    assert.deepEqual(await net.client.apply(model(5)), expected);
    assert.deepEqual(await net.client.apply(model(5)), expected);
  });

  test("an older model, another cluster's and a malformed one are refused and change nothing", async () => {
    await assert.rejects(net.client.apply(model(4)), {
      code: "precondition_failed",
      details: { generation: 5, received: 4 },
    });
    const foreign = { ...model(6), cluster: { id: "other" } };
    await assert.rejects(net.client.apply(foreign), { code: "foreign_cluster" });
    const broken = { ...model(6), domain: "no domain!" };
    await assert.rejects(net.client.apply(broken), {
      code: "invalid_request",
      message: /model\.domain/,
    });
    assert.equal((await net.client.status()).generation, 5);
  });

  test("bodies that are no JSON and unknown paths are problems with a code", async () => {
    const ask = (method: string, path: string, body?: string) =>
      new Promise<string>((resolve, reject) => {
        const call = request({ socketPath: `${net.dataDir}/net.sock`, method, path }, (answer) => {
          let text = `${answer.statusCode} `;
          answer.setEncoding("utf8").on("data", (chunk: string) => {
            text += chunk;
          });
          answer.on("end", () => resolve(text));
        });
        call.on("error", reject);
        call.end(body);
      });
    assert.match(await ask("PUT", "/model", "{"), /^400 .*"code":"invalid_request"/);
    assert.match(await ask("GET", "/nothing"), /^404 .*"code":"not_found"/);
    assert.match(await ask("GET", "/sessions?address=x&port=1"), /^400 /);
    assert.match(await ask("GET", "/metrics"), /^200 [\s\S]*applied_generation\{part="dns"\} 5/);
  });

  test("the thread that answers names comes before everything ordinary, and no other", async () => {
    // Where a container or a kernel permits nobody to do so, names are answered all the same.
    const { status } = spawnSync("chrt", ["--fifo", "1", "true"]);
    const expected = status === 0 ? ["dns 1"] : [];
    await until("priority of the thread", 10_000, () => {
      const first = standingsOf(net.pid()).filter((standing) => !standing.endsWith(" 0"));
      return `${first}` === `${expected}` ? true : undefined;
    });
  });

  test("the socket and the stored model are for the owner alone", () => {
    assert.equal(statSync(`${net.dataDir}/net.sock`).mode & 0o777, 0o600);
    assert.equal(statSync(`${net.dataDir}/model.json`).mode & 0o777, 0o600);
  });

  test("a second net in the same folder is refused and does no harm", async () => {
    const main = fileURLToPath(new URL("./net-main.ts", import.meta.url));
    const second = spawnSync(process.execPath, [main, net.dataDir], { encoding: "utf8" });
    assert.notEqual(second.status, 0);
    assert.match(second.stderr, /another net process runs in this folder/);
    assert.equal((await net.client.status()).generation, 5);
  });

  test("generations hold over a kill", async () => {
    await net.kill();
    await assert.rejects(net.client.status(), { code: "unavailable" });
    await net.start();
    assert.equal((await net.client.waitApplied(5, 5_000)).generation, 5);
    await assert.rejects(net.client.apply(model(4)), { code: "precondition_failed" });
  });

  test("a stored model that is damaged is put aside, and the next one works", async () => {
    await net.kill();
    const text = readFileSync(`${net.dataDir}/model.json`, "utf8");
    writeFileSync(`${net.dataDir}/model.json`, text.slice(0, -20));
    await net.start();
    const status = await net.client.status();
    assert.deepEqual([status.generation, status.dns.state], [0, "pending"]);
    assert.ok(statSync(`${net.dataDir}/model.json.bad`).isFile());
    assert.equal((await net.client.apply(model(6))).dns.state, "ok");
  });

  test("without haproxy and nft the problems say so, and names are answered all the same", async () => {
    const bare = netUnderTest({ PATH: "/nonexistent" });
    await bare.start();
    const other = { ...loopbackModel(1, {}), cluster: { id: "bare" } };
    const networks = other.networks.map((network) => ({ ...network, gateway: "127.77.0.2" }));
    const report = await bare.client.apply({ ...other, networks });
    assert.deepEqual(
      [report.dns.state, report.ingress.problems, report.firewall.problems],
      [
        "ok",
        [{ code: "program_missing", program: "haproxy" }],
        [{ code: "program_missing", program: "nft" }],
      ],
    );
    await bare.kill();
  });

  test("an item that is not as it should be is left out and told, also after a restart", async () => {
    const [route] = loopbackModel(0, {}).ingress.httpRoutes;
    assert.ok(route !== undefined);
    const httpRoutes = [{ ...route, pathPrefix: "no slash" }];
    const report = await net.client.apply(loopbackModel(7, { ingress: { ...quiet, httpRoutes } }));
    const { state, problems } = report.ingress;
    assert.deepEqual([state, problems.length], ["degraded", 1]);
    assert.deepEqual([problems[0]?.code, report.dns.state], ["invalid_item", "ok"]);
    await net.kill();
    await net.start();
    assert.deepEqual((await net.client.waitApplied(7, 5_000)).ingress.problems, problems);
  });

  test("SIGTERM ends it in order", async () => {
    process.kill(net.pid(), "SIGTERM");
    await until("end", 5_000, async () =>
      (await net.client.status().catch(() => undefined)) === undefined ? true : undefined,
    );
  });
});
