import assert from "node:assert/strict";
import { test } from "node:test";
import { silentLogger } from "@berth/base";
import { emptyModel } from "../model.ts";
import { DnsThread } from "./dns-thread.ts";

/** A thread that ends at every model of generation 1 and answers all else. */
function threadThatEnds(): DnsThread {
  const program = `
    import { parentPort } from "node:worker_threads";
    parentPort.on("message", ({ id, kind, model }) => {
      if (model?.generation === 1) process.exit(1);
      parentPort.postMessage({ kind: "answer", id, value: undefined });
      if (kind === "close") parentPort.close();
    });`;
  const workerUrl = new URL(`data:text/javascript,${encodeURIComponent(program)}`);
  return new DnsThread({ port: 0, log: silentLogger, workerUrl });
}

test("a thread that dies fails what was asked of it, and its successor follows", async () => {
  const thread = threadThatEnds();
  await assert.rejects(thread.apply({ ...emptyModel("c1"), generation: 1 }), /thread has ended/);
  await thread.apply({ ...emptyModel("c1"), generation: 2 }).catch(() => {});
  await thread.apply({ ...emptyModel("c1"), generation: 2 });
  assert.deepEqual(thread.problems(), []);
  await thread.close();
});

test("one that does not stay is a problem, and nobody waits for it", async () => {
  const thread = threadThatEnds();
  await assert.rejects(thread.apply({ ...emptyModel("c1"), generation: 1 }));
  while (thread.problems().length === 0) await new Promise(setImmediate);
  assert.equal(thread.problems()[0]?.code, "part_failed");
  await assert.rejects(thread.apply({ ...emptyModel("c1"), generation: 2 }), /does not stay/);
  await thread.close();
});
