import assert from "node:assert/strict";
import { test } from "node:test";
import { type Network, ProtocolError } from "@berth/protocol";
import { AgentBox } from "../agent-box.ts";
import { sampleAssignment } from "../task/assignment-sample.ts";

const NETWORK: Network = {
  project: "default",
  environment: "main",
  stack: "shop",
  name: "default",
  id: "0a0b0c0d",
  subnet: "10.64.3.0/24",
  gateway: "10.64.3.1",
  internal: false,
  createdAt: 0,
};

function attached(id: string, host: number) {
  const attachment = {
    networkId: NETWORK.id,
    address: `10.64.3.${host}`,
    mac: "02:00:00:00:00:07",
  };
  return sampleAssignment(id, { task: { attachments: [attachment] } });
}

test("a network whose removal took effect and failed is made again for the next task", async () => {
  const box = new AgentBox(1);
  box.server.addNetwork(NETWORK);
  box.server.assign(attached("task01", 7));
  await box.start();
  assert.ok(await box.until(() => box.server.statuses.get("task01")?.ready === true));
  const error = new ProtocolError("engine_error", "the answer was lost", {
    status: 500,
    words: "",
  });
  box.host.failNext("removeNetwork", error, { afterEffect: true });
  box.server.forget("task01");
  assert.ok(await box.until(() => box.host.networks.size === 0));
  await box.pass(5_000);
  box.server.assign(attached("task02", 8));
  assert.ok(await box.until(() => box.server.statuses.get("task02")?.ready === true));
  box.kill();
});
