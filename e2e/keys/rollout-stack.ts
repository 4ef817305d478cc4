/** How releases follow each other, as the engine tells it: how many at once, in which order, at which pace. */

import assert from "node:assert/strict";
import { type LifeEvent, LifeRecorder, mostAtOnce } from "../engine.ts";
import type { StackRow } from "../stack-rows.ts";
import { eventually } from "../test-platform.ts";
import type { KeyStack, Scene } from "./scene.ts";

/**
 * `monitor` is short where all is well; where a copy is to fail it is long enough for a slow machine, on which a
 * program may take longer to end than others are watched.
 */
const SMALL = "requests: {cpus: 0.001, memory: 2m}";

interface Versions {
  readonly paced?: string;
  readonly first?: string;
  readonly tolerant?: string;
  readonly watched?: string;
  readonly back?: string;
}

const RUN = "exec sleep 100000";

/** `-2`, `-3` ...: copies of these numbers end with an error, the others run. */
function failingAt(...slots: readonly number[]): string {
  const which = slots.map((slot) => `*-${slot}`).join("|");
  return `case $$(hostname) in ${which}) exit 7;; esac; ${RUN}`;
}

function compose({ paced, first, tolerant, watched, back }: Versions = {}): string {
  const service = (name: string, script: string | undefined, deploy: string) => `
  ${name}:
    image: berth/busybox
    command: ["sh", "-c", ${JSON.stringify(script ?? RUN)}]
    stop_signal: SIGKILL
    x-berth: {drain: 0s, ${SMALL}}
    deploy: ${deploy}`;
  return `services:${[
    service(
      "paced",
      paced,
      "{replicas: 5, update_config: {parallelism: 2, delay: 3s, order: stop-first, monitor: 200ms}}",
    ),
    service(
      "first",
      first,
      "{replicas: 3, update_config: {parallelism: 1, order: start-first, monitor: 200ms}}",
    ),
    service(
      "tolerant",
      tolerant,
      "{replicas: 4, update_config: {parallelism: 4, order: stop-first, monitor: 4s, max_failure_ratio: 0.25}}",
    ),
    service(
      "watched",
      watched,
      "{replicas: 1, update_config: {monitor: 6s, failure_action: rollback}}",
    ),
    service(
      "back",
      back,
      "{replicas: 3, update_config: {parallelism: 3, order: stop-first, monitor: 4s}, rollback_config: {parallelism: 1, delay: 3s, order: stop-first, monitor: 200ms}}",
    ),
  ].join("")}
`;
}

/** What was deployed last: a check changes one service and leaves the others as they are. */
let current: Versions = {};

function deploy(at: Scene, changed: Versions) {
  current = { ...current, ...changed };
  return at.platform.deploy(at.stack, compose(current));
}

/** Deploys another `script` of a service, and answers what the engine told of it meanwhile. */
async function change(at: Scene, service: keyof Versions, script: string) {
  const recorder = new LifeRecorder(at.platform.cluster);
  try {
    const before = at.containers(service).map(({ Id }) => Id);
    const { code, stderr } = await deploy(at, { [service]: script });
    const now = () => at.containers(service).length;
    await eventually(`${service} is settled`, () => now() === before.length);
    const place = `default/main/${at.stack}/${service}`;
    const all = await recorder.events();
    return { code, stderr, before, events: all.filter((event) => event.service === place) };
  } finally {
    recorder.stop();
  }
}

/** The first start of each copy: one that crashes is started again. */
function starts(events: readonly LifeEvent[]): readonly LifeEvent[] {
  const seen = new Set<string>();
  return events.filter(({ action, task }) => {
    if (action !== "start" || seen.has(task)) return false;
    seen.add(task);
    return true;
  });
}

/** Fewest that ran at one time. */
function leastAtOnce(events: readonly LifeEvent[], before: readonly string[]): number {
  const running = new Set(before);
  let least = running.size;
  for (const { action, container } of events) {
    if (action === "start") running.add(container);
    else running.delete(container);
    least = Math.min(least, running.size);
  }
  return least;
}

/** Seconds from each event to the next. */
function gaps(events: readonly LifeEvent[]): readonly number[] {
  const times = events.map(({ at }) => at);
  return times.slice(1).map((time, index) => (time - (times[index] ?? time)) / 1_000);
}

const UPDATE = "services.*.deploy.update_config";
const ROLLBACK = "services.*.deploy.rollback_config";

export const ROLLOUT: KeyStack = {
  name: "rollout",
  compose: compose(),
  checks: [
    {
      keys: [`${UPDATE}.parallelism`, `${UPDATE}.delay`, `${UPDATE}.order`],
      says: "stop-first by two: never more than five run and never fewer than three, with a pause between batches",
      look: async (at) => {
        const { code, before, events } = await change(at, "paced", `: 2; ${RUN}`);
        assert.equal(code, 0);
        assert.equal(starts(events).length, 5);
        assert.equal(
          mostAtOnce(events, before, () => true),
          5,
        );
        assert.ok(leastAtOnce(events, before) >= 3, `${leastAtOnce(events, before)} ran`);
        // Two, two, one: from a batch to the next the pause has passed.
        const pauses = gaps(starts(events)).filter((gap) => gap >= 3);
        assert.ok(pauses.length >= 2, `${gaps(starts(events)).join(" ")} s`);
      },
    },
    {
      keys: [`${UPDATE}.parallelism`, `${UPDATE}.order`],
      says: "start-first by one: never fewer than three run, and one more at most while one is replaced",
      look: async (at) => {
        const { code, before, events } = await change(at, "first", `: 2; ${RUN}`);
        assert.equal(code, 0);
        assert.equal(starts(events).length, 3);
        assert.equal(leastAtOnce(events, before), 3);
        // The next may begin while the engine is still ending the last one.
        const most = mostAtOnce(events, before, () => true);
        assert.ok(most === 4 || most === 5, `${most} at once`);
      },
    },
    {
      keys: [`${UPDATE}.max_failure_ratio`],
      says: "one of four may fail at 0.25, two may not",
      look: async (at) => {
        const good = await deploy(at, { tolerant: failingAt(2) });
        assert.equal(good.code, 0, good.stderr);
        const release = await releaseOf(at);
        const bad = await deploy(at, { tolerant: failingAt(2, 3) });
        assert.equal(bad.code, 1);
        assert.match(bad.stderr, /rolled back/);
        assert.equal(await releaseOf(at), release);
        current = { ...current, tolerant: failingAt(2) };
      },
    },
    {
      keys: [`${UPDATE}.monitor`, `${UPDATE}.failure_action`],
      says: "a copy that ends while it is watched fails the rollout, which goes back",
      look: async (at) => {
        // It is ready at once and lives for 3 s: only who watches for longer can see it end.
        const { code, stderr } = await deploy(at, { watched: "sleep 3; exit 9" });
        assert.equal(code, 1);
        assert.match(stderr, /rolled back/);
        assert.match(stderr, /\b9\b/);
        current = { ...current, watched: RUN };
      },
    },
    {
      keys: ["parallelism", "delay", "order"].map((key) => `${ROLLBACK}.${key}`),
      says: "forward three at once, back one by one with the pause of rollback_config",
      look: async (at) => {
        const { code, events } = await change(at, "back", "exit 5");
        assert.equal(code, 1);
        const all = starts(events);
        const forward = new Set(all.slice(0, 3).map(({ task }) => task));
        assert.equal(forward.size, 3);
        const back = all.filter(({ task }) => !forward.has(task));
        assert.equal(back.length, 3);
        assert.ok(Math.min(...gaps(back)) >= 3, `${gaps(back).join(" ")} s`);
      },
    },
  ],
};

async function releaseOf(at: Scene): Promise<number | undefined> {
  const rows = await at.platform.json<StackRow>("ps");
  return rows.find(({ stack }) => stack.stack === at.stack)?.stack.release;
}
