/** Containers that get their networks from the agent: what their programs see, and what is left after failures. */

import assert from "node:assert/strict";
import { execFile, execFileSync } from "node:child_process";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { systemClock } from "@berth/base";
import { madePortName } from "@berth/network/interfaces";
import { ProtocolError } from "@berth/protocol";
import { requestOf } from "../src/runtime/contract-subject.ts";
import { killProcesses, processesIn, stopInit } from "../src/runtime/direct-init.ts";
import { holderOf } from "../src/runtime/direct-links.ts";
import { learnPlace } from "../src/runtime/direct-place.ts";
import { attachmentsOfLabels } from "../src/runtime/direct-plan.ts";
import { DirectStarts } from "../src/runtime/direct-starts.ts";
import { type DockerRuntime, dockerRuntime } from "../src/runtime/docker.ts";
import type { ContainerRequest, NetworkRequest } from "../src/runtime/port.ts";
import { openDirectLab } from "./runtime-lab.ts";

/** What a program sees in its very first step goes to its output. */
const FIRST_STEP = "ip -o addr; ip route; hostname; cat /etc/hosts; exec sleep 100000";

describe("a container that is started directly", () => {
  let lab: Awaited<ReturnType<typeof openDirectLab>>;
  let second: NetworkRequest;
  let count = 0;
  before(async () => {
    lab = await openDirectLab(7);
    second = {
      ...lab.network,
      id: `${lab.network.id.slice(0, 6)}fe`,
      bridge: `${lab.network.bridge}c`.slice(-15),
      subnet: lab.network.subnet.replace("10.251.", "10.250."),
      gateway: lab.network.gateway.replace("10.251.", "10.250."),
    };
    await lab.runtime.ensureNetwork({ ...lab.network, internal: true });
    await lab.runtime.ensureNetwork({ ...second, mtu: 1_400 });
  });
  after(() => lab.close());

  const attachment = (network: NetworkRequest, last: number) => {
    const address = network.gateway.replace(/\.1$/, `.${last}`);
    const bytes = address.split(".").map((byte) => Number(byte).toString(16).padStart(2, "0"));
    return { networkId: network.id, address, mac: `02:42:${bytes.join(":")}` };
  };
  const request = (last: number, changes: Partial<ContainerRequest> = {}) =>
    requestOf(lab, `${lab.cluster}-${++count}`, {
      network: { kind: "networks", attachments: [attachment(lab.network, last)] },
      ...changes,
    });
  const run = async (wanted: ContainerRequest, runtime: DockerRuntime = lab.runtime) => {
    const created = await runtime.createContainer(wanted);
    assert.ok(attachmentsOfLabels(created.labels), "made for a direct start");
    assert.equal(await runtime.startContainer(created.id), "started");
    return created.id;
  };
  const inside = async (id: string, script: string) => {
    const options = { timeoutMs: 30_000 };
    return (await lab.runtime.runInside(id, ["sh", "-c", script], options)).output;
  };
  const firstWords = async (id: string) => {
    let text = "";
    for await (const chunk of lab.runtime.logs(id, undefined, new AbortController().signal)) {
      text += Buffer.from(chunk.bytes).toString();
      if (text.includes("localhost")) return text;
    }
    return text;
  };

  it("has all its networks before its first step, as they were planned", async () => {
    const attachments = [attachment(lab.network, 9), attachment(second, 9)];
    const engine = { hostname: "web-1" };
    const network = { kind: "networks", attachments } as const;
    const id = await run(request(9, { command: ["sh", "-c", FIRST_STEP], engine, network }));
    const seen = await firstWords(id);
    assert.match(seen, /eth0\s+inet 10\.251\.7\.9\/24/);
    assert.match(seen, /eth1\s+inet 10\.250\.7\.9\/24/);
    // The first network is internal: the way out is the second's.
    assert.match(seen, /default via 10\.250\.7\.1 dev eth1/);
    assert.match(seen, /^web-1$/m);
    assert.doesNotMatch(seen, /fe80/);
    const links = await inside(id, "ip link");
    assert.match(links, /02:42:0a:fb:07:09/);
    assert.match(links, /eth1@[^\n]* mtu 1400 /);
    await lab.runtime.removeContainer(id);
  });

  it("reaches others of its network, whoever started them, and shares its own with guests", async () => {
    const ours = await run(request(10));
    const { network } = request(11);
    const engines = await lab.runtime.createContainer(request(11, { mounts: [], network }));
    assert.equal(attachmentsOfLabels(engines.labels), undefined);
    await lab.runtime.startContainer(engines.id);
    const guest = await lab.runtime.createContainer(
      request(0, { network: { kind: "container", containerId: ours } }),
    );
    await lab.runtime.startContainer(guest.id);
    assert.match(await inside(ours, "ping -c1 -W5 10.251.7.11"), / 0% packet loss/);
    assert.match(await inside(engines.id, "ping -c1 -W5 10.251.7.10"), / 0% packet loss/);
    assert.match(await inside(guest.id, "ip -o -4 addr"), /10\.251\.7\.10\//);
    for (const id of [guest.id, engines.id, ours]) await lab.runtime.removeContainer(id);
  });

  it("keeps its network when the bridge is removed behind its back and made anew", async () => {
    const [one, two] = [await run(request(12)), await run(request(13))];
    execFileSync("docker", ["network", "rm", `berth-${lab.cluster}-${lab.network.id}`]);
    await lab.runtime.ensureNetwork({ ...lab.network, internal: true });
    assert.match(await inside(one, "ping -c1 -W5 10.251.7.13"), / 0% packet loss/);
    for (const id of [one, two]) await lab.runtime.removeContainer(id);
  });

  it("takes an address over from one that was killed, whatever the kernel has not tidied yet", async () => {
    for (let round = 0; round < 5; round++) {
      const id = await run(request(14));
      await lab.runtime.killContainer(id, "SIGKILL");
      await lab.runtime.waitContainer(id);
    }
  });

  it("leaves nothing of a start whose networks cannot be attached, and the engine does the next", async () => {
    const broken = { ...lab.network, id: `${lab.network.id.slice(0, 6)}fd`, bridge: "lo" };
    const attachments = [attachment(broken, 15)];
    const runtime = dockerRuntime({ direct: { ...lab.direct, folder: `${lab.journal}-broken` } });
    await lab.teach(runtime);
    const engine = new DirectStarts(
      {
        ...fakeEngine(runtime),
        bridgeOf: async () => ({ name: "lo", subnet: "10.9.0.0/24", gateway: "", internal: true }),
      },
      { ...lab.direct, folder: `${lab.journal}-engine`, clock: systemClock },
    );
    const teacher = await runtime.createContainer(requestOf(lab, `${lab.cluster}-t`, {}));
    await runtime.startContainer(teacher.id);
    engine.learnFrom(teacher.id);
    while (!engine.isPossible) await runtime.inspectContainer(teacher.id);
    const { id } = await runtime.createContainer(request(15));
    const container = { id, cluster: lab.cluster, attachments };
    assert.equal(await engine.start(container), "undone");
    assert.equal(await runtime.inspectContainer(id), undefined);
    assert.equal(engine.isPossible, false);
    assert.deepEqual(readdirSync(`${lab.journal}-engine`), []);
    // A start that nobody saw in time: the program may have run without its networks.
    const unseen = await runtime.createContainer(request(16));
    const late = new DirectStarts(
      { ...fakeEngine(runtime), start: async () => {} },
      { ...lab.direct, folder: `${lab.journal}-late`, clock: systemClock },
    );
    late.learnFrom(teacher.id);
    while (!late.isPossible) await runtime.inspectContainer(teacher.id);
    const wanted = { ...container, id: unseen.id, attachments: [attachment(second, 16)] };
    assert.equal(await late.start(wanted), "undone");
    assert.equal(await runtime.inspectContainer(unseen.id), undefined);
    await runtime.removeContainer(teacher.id);
    runtime.close();
  });

  it("is removed when the engine died before it had said that it runs", async () => {
    const teacher = await lab.runtime.createContainer(requestOf(lab, `${lab.cluster}-w`, {}));
    await lab.runtime.startContainer(teacher.id);
    const folder = `${lab.journal}-lost`;
    const lost = new DirectStarts(
      {
        ...fakeEngine(lab.runtime),
        start: async (id) => {
          await promisify(execFile)("docker", ["start", id]);
          throw new ProtocolError("unavailable", "the engine is gone");
        },
      },
      { ...lab.direct, folder, clock: systemClock },
    );
    lost.learnFrom(teacher.id);
    while (!lost.isPossible) await lab.runtime.inspectContainer(teacher.id);
    const { id } = await lab.runtime.createContainer(request(19));
    const attachments = [attachment(second, 19)];
    await assert.rejects(lost.start({ id, cluster: lab.cluster, attachments }), /engine is gone/);
    assert.deepEqual(readdirSync(folder), [id], "nobody knows how it ended");
    await lost.settleDoubts();
    assert.equal(await lab.runtime.inspectContainer(id), undefined);
    assert.deepEqual(readdirSync(folder), []);
    await lab.runtime.removeContainer(teacher.id);
  });

  it("leaves no program behind that its engine forgot", async () => {
    const id = await run(request(20));
    const { pid = 0 } = (await lab.runtime.inspectContainer(id)) ?? {};
    const { cgroupVersion: version } = await lab.runtime.info();
    const place = learnPlace(id, pid, { version });
    assert.ok(place);
    killProcesses(place(id));
    await lab.runtime.waitContainer(id);
    assert.deepEqual(processesIn(place(id)), []);
    await lab.runtime.removeContainer(id);
  });

  it("is removed by the next agent when the one that started it was killed in between", async () => {
    const teacher = await lab.runtime.createContainer(requestOf(lab, `${lab.cluster}-u`, {}));
    await lab.runtime.startContainer(teacher.id);
    const { pid = 0 } = (await lab.runtime.inspectContainer(teacher.id)) ?? {};
    const { cgroupVersion: version } = await lab.runtime.info();
    const place = learnPlace(teacher.id, pid, { version });
    assert.ok(place);
    const { id } = await lab.runtime.createContainer(request(17));
    // What the killed agent had done: written it down, begun the start, stopped the first process.
    writeFileSync(join(lab.journal, id), place(id));
    const plain = dockerRuntime();
    const socket = new (await import("../src/runtime/docker-client.ts")).EngineClient({
      socketPath: "/var/run/docker.sock",
      clock: systemClock,
    });
    const starting = socket
      .answer({ method: "POST", path: `/v1.41/containers/${id}/start`, context: "start" })
      .catch(() => undefined);
    let stopped: number | undefined;
    while (stopped === undefined) {
      stopped = stopInit(place(id));
      await plain.inspectContainer(teacher.id);
    }
    assert.match(readFileSync(`/proc/${stopped}/comm`, "utf8"), /^runc/);
    const next = dockerRuntime({ direct: lab.direct });
    const listed = await next.listContainers(lab.cluster);
    assert.ok(!listed.some((container) => container.id === id), "not taken for one that runs");
    assert.deepEqual(readdirSync(lab.journal), []);
    await starting;
    await lab.runtime.removeContainer(teacher.id);
    for (const each of [next, plain]) each.close();
    socket.close();
  });

  it("has one name on the host for each address, which the kernel keeps to one holder", async () => {
    const id = await run(request(18));
    const outside = madePortName(lab.network.bridge, "10.251.7.18");
    assert.equal(await holderOf(outside), id);
    const port = execFileSync("bridge", ["-j", "-d", "link", "show", "dev", outside]).toString();
    assert.match(port, /"hairpin":true/, "net goes by the name and does not look at it");
    const other = await lab.runtime.createContainer(request(18));
    await assert.rejects(lab.runtime.startContainer(other.id), /10\.251\.7\.18 is in use/);
    await lab.runtime.removeContainer(id);
    assert.equal(await lab.runtime.startContainer(other.id), "started");
    await lab.runtime.removeContainer(other.id);
  });

  function fakeEngine(runtime: DockerRuntime) {
    return {
      start: async (id: string) => {
        await promisify(execFile)("docker", ["start", id]);
      },
      remove: (id: string) => runtime.removeContainer(id),
      pidOf: async (id: string) => (await runtime.inspectContainer(id))?.pid ?? 0,
      bridgeOf: async () => ({ name: second.bridge, ...second }),
      isPlain: async () => true,
      cgroupVersion: async () => (await runtime.info()).cgroupVersion,
    };
  }
});
