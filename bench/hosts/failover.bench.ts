/**
 * A host loses its power, and its cable: how long until copies that were on it answer again, somewhere else. Berth and
 * Docker Swarm have the same services on the same three hosts at the same time, so that one failure hits both.
 *
 *     node bench/hosts/failover.bench.ts [--rounds N] [--json]
 *
 * One copy of a service alone, and six copies of another spread over the hosts, of which two are lost. Images are present
 * everywhere, all settings are the defaults of both. What counts is an answer over HTTP, by the name of the
 * service, from a copy that nobody had seen before; and that there are as many in the end as were lost.
 */

import assert from "node:assert/strict";
import type { ChildProcess } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { LabHost } from "../../e2e/hosts/host-lab.ts";
import { eventually } from "../../e2e/test-platform.ts";
import { type Comparison, comparisonLines } from "../figures.ts";
import { PROBED_PORT } from "./prober.ts";
import { bootAgain, bootThreeHosts, IMAGE, type ThreeHosts } from "./three-hosts.ts";

const COPIES = 6;
const WAIT_MS = 180_000;
const STACK = "fo";
/** Each copy has an identity of its own. */
const COMMAND = `mkdir /www; cat /proc/sys/kernel/random/uuid > /www/index.html; exec httpd -f -p ${PROBED_PORT} -h /www`;
const SWARM_NETWORK = "fo-net";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "3" },
    json: { type: "boolean", default: false },
  },
});

/** Milliseconds from the failure to an answer. */
interface Times {
  readonly alone: number;
  readonly first: number;
  readonly last: number;
}

interface Side {
  readonly name: string;
  /** What the copies of a service carry at the engine. */
  readonly label: (service: string) => string;
  /** The one copy and the prober; nothing may be placed on `not`. */
  readonly begin: (not: LabHost) => Promise<void>;
  readonly spread: (again: LabHost) => Promise<void>;
  readonly end: () => Promise<void>;
}

function composeOf(services: readonly ("web" | "alone" | "prober")[]): string {
  const common = { image: IMAGE, stop_signal: "SIGKILL" };
  const server = { ...common, command: ["sh", "-c", COMMAND], expose: [String(PROBED_PORT)] };
  const place = (constraint: string) => ({ placement: { constraints: [constraint] } });
  const all = {
    web: { ...server, deploy: { replicas: COPIES } },
    alone: { ...server, deploy: place("node.hostname != one") },
    prober: { ...common, command: ["sleep", "1000000"], deploy: place("node.hostname == one") },
  };
  return JSON.stringify({
    services: Object.fromEntries(services.map((name) => [name, all[name]])),
  });
}

function berthSide({ first }: ThreeHosts): Side {
  return {
    name: "berth",
    label: (service) => `berth.service=default/main/${STACK}/${service}`,
    begin: async (not) => {
      await first.must("node", "cordon", not.name);
      await first.deploy(STACK, composeOf(["alone", "prober"]));
    },
    spread: async (again) => {
      await first.must("node", "uncordon", again.name);
      await first.deploy(STACK, composeOf(["alone", "prober", "web"]));
    },
    end: async () => void (await first.must("stack", "rm", STACK, "--yes")),
  };
}

function swarmSide({ first }: ThreeHosts): Side {
  const create = (name: string, ...words: string[]) =>
    first.docker(
      ...["service", "create", "--name", name, "--detach", "--no-resolve-image"],
      ...["--endpoint-mode", "dnsrr", "--network", SWARM_NETWORK, ...words],
    );
  const server = [IMAGE, "sh", "-c", COMMAND];
  return {
    name: "swarm",
    label: (service) => `com.docker.swarm.service.name=${service}`,
    begin: async (not) => {
      first.docker("node", "update", "--availability", "pause", not.name);
      create("alone", "--constraint", "node.hostname!=one", ...server);
      create("prober", "--constraint", "node.hostname==one", IMAGE, "sleep", "1000000");
    },
    spread: async (again) => {
      first.docker("node", "update", "--availability", "active", again.name);
      create("web", "--replicas", String(COPIES), ...server);
    },
    end: async () => void first.docker("service", "rm", "alone", "prober", "web"),
  };
}

function joinSwarm({ first, others }: ThreeHosts): void {
  // Berth has the usual port for the same purpose.
  first.docker("swarm", "init", "--advertise-addr", first.address, "--data-path-port", "4790");
  const token = first.docker("swarm", "join-token", "-q", "worker").trim();
  for (const host of others) {
    const own = ["--advertise-addr", host.address, "--token", token];
    host.docker("swarm", "join", ...own, `${first.address}:2377`);
  }
  first.docker("network", "create", "-d", "overlay", SWARM_NETWORK);
}

interface Answer {
  readonly atMs: number;
  readonly service: string;
}

/** Asks from inside the container of the side's prober. */
class Probing {
  readonly #file: string;
  readonly #program: ChildProcess;

  private constructor(file: string, program: ChildProcess) {
    this.#file = file;
    this.#program = program;
  }

  static async begin(host: LabHost, side: Side): Promise<Probing> {
    let id = "";
    await eventually(`the prober of ${side.name} runs`, () => {
      id = host.docker("ps", "-q", "--filter", `label=${side.label("prober")}`).trim();
      return id !== "";
    });
    const pid = host.docker("inspect", "-f", "{{.State.Pid}}", id).trim();
    const resolvers = host.docker("exec", id, "cat", "/etc/resolv.conf");
    const resolver = /^nameserver (\S+)/m.exec(resolvers)?.[1] ?? "";
    const file = join(host.folder, `answers-${side.name}`);
    rmSync(file, { force: true });
    const program = host.begin(
      ...["nsenter", "-t", pid, "-n", process.execPath, join(import.meta.dirname, "prober.ts")],
      ...[resolver, file, "tasks.alone", "tasks.web"],
    );
    return new Probing(file, program);
  }

  /** First answers of copies of `service` after `sinceMs`, in order. */
  answers(service: string, sinceMs: number): number[] {
    return this.#read()
      .filter((answer) => answer.service === `tasks.${service}` && answer.atMs >= sinceMs)
      .map(({ atMs }) => atMs - sinceMs);
  }

  #read(): Answer[] {
    let text = "";
    try {
      text = readFileSync(this.#file, "utf8");
    } catch {
      // Nobody has answered yet.
    }
    const lines = text.split("\n").filter((line) => line !== "");
    return lines.map((line) => {
      const [at, service = ""] = line.split(" ");
      return { atMs: Number(at), service };
    });
  }

  end(): void {
    this.#program.kill("SIGKILL");
  }
}

async function round(
  hosts: ThreeHosts,
  sides: readonly Side[],
  number: number,
): Promise<readonly Times[]> {
  const { first, others } = hosts;
  const [victim, other] = number % 2 === 0 ? others : [others[1], others[0]];
  const probings: Probing[] = [];
  for (const side of sides) {
    await side.begin(other);
    probings.push(await Probing.begin(first, side));
  }
  const each = <T>(work: (side: Side, probing: Probing) => T) =>
    sides.map((side, index) => {
      const probing = probings[index];
      assert.ok(probing);
      return work(side, probing);
    });
  const wait = (what: string, holds: () => boolean) => eventually(what, holds, WAIT_MS);
  try {
    await wait("the single copies answer", () =>
      each((_, probing) => probing.answers("alone", 0).length === 1).every(Boolean),
    );
    for (const side of sides) await side.spread(other);
    await wait("all copies answer", () =>
      each((_, probing) => probing.answers("web", 0).length === COPIES).every(Boolean),
    );
    const lost = each(({ label }) => running(victim, label("web")));
    for (const [index, side] of sides.entries()) {
      assert.equal(running(victim, side.label("alone")), 1, side.name);
      assert.ok((lost[index] ?? 0) > 0, `${side.name} has copies on ${victim.name}`);
    }
    const offMs = Date.now();
    await victim.cable("down");
    await victim.powerOff();
    await wait("all that was lost answers", () =>
      each((_, probing) => [
        probing.answers("alone", offMs).length,
        probing.answers("web", offMs).length,
      ]).every(([alone = 0, web = 0], index) => alone >= 1 && web >= (lost[index] ?? 0)),
    );
    const times = each((side, probing): Times => {
      const [alone = Number.NaN] = probing.answers("alone", offMs);
      const web = probing.answers("web", offMs);
      const count = lost[sides.indexOf(side)] ?? 0;
      assert.equal(web.length, count, `${side.name}: as many as were lost`);
      return { alone, first: web[0] ?? Number.NaN, last: web[count - 1] ?? Number.NaN };
    });
    return times;
  } finally {
    for (const probing of probings) probing.end();
    for (const side of sides) await side.end();
    await bootAgain(first, victim);
    await wait(`${victim.name} is part of the swarm again`, () => {
      const state = first.docker("node", "inspect", "-f", "{{.Status.State}}", victim.name);
      return state.trim() === "ready";
    });
  }
}

function running(host: LabHost, label: string): number {
  const ids = host.docker("ps", "-q", "--filter", `label=${label}`);
  return ids.split("\n").filter((id) => id !== "").length;
}

const hosts = await bootThreeHosts();
try {
  joinSwarm(hosts);
  const sides = [berthSide(hosts), swarmSide(hosts)];
  const ours: Times[] = [];
  const swarm: Times[] = [];
  for (let number = 0; number < Number(values.rounds); number++) {
    const [own, peer] = await round(hosts, sides, number);
    assert.ok(own && peer);
    ours.push(own);
    swarm.push(peer);
  }
  const rows = [
    ["alone", "a host loses its power: a service of one copy answers again"],
    ["first", `the same, of ${COPIES} copies spread over three hosts: the first that was lost`],
    ["last", "the same: the last that was lost"],
  ] as const;
  for (const [key, what] of rows) {
    const comparison: Comparison = {
      ...{ what, unit: "s", goal: "5 s at most with the defaults" },
      ours: ours.map((times) => times[key] / 1_000),
      peer: { name: "swarm ", values: swarm.map((times) => times[key] / 1_000) },
    };
    if (values.json) console.log(JSON.stringify({ bench: "failover", ...comparison }));
    else console.log(`${comparisonLines(comparison).join("\n")}\n`);
  }
} finally {
  await hosts.lab.destroy();
}
process.exit();
