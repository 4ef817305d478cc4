/**
 * The commands of dialogues about one stack: what users, nodes and agents do, and what the control plane
 * makes of it. Tasks are named by slot and order of birth: `web-1#2` is the second task of the first copy.
 *
 *     node n1 [memory=2G] [label=zone:a] [has=gpu:2]      suspend n1
 *     node n1 devices=fpga:2[:MODEL] [has=fpga:1] [uses=TASK:CPUS:MEMORY]
 *     node n1 down|up|gone|drain|cordon|active|flaps|taint=KEY[:prefer]
 *     node n1 silent=70s · fenced n1
 *     volume data [shared] [per-copy] [nfs]         service web key=value ...         drop web
 *     policy memory=2G|none tasks=3 gpu=1 strategy=tightest
 *     deploy · scale web 3 · restart web · rollback [2] · rm [volume ...]
 *     task web-1#1 pulling|running|ready|unready|crashed|complete|failed|rejected|removed [failures=3]
 *     pause web-1#1 [force] [REASON...] · resume web-1#1
 *     pass 5s · look · operations · ps · explain web · plan
 */

import { parseBytes, parseDuration, present } from "@berth/base";
import {
  keys,
  type PinnedSpec,
  type ServiceSpec,
  STRATEGY_WORDS,
  type StrategyWord,
  serviceKey,
  stackKey,
  type Task,
  type TaskStatus,
  type VolumeSpec,
} from "@berth/protocol";
import { explainService } from "../explain/explain-service.ts";
import { planDeployment } from "../explain/plan-deployment.ts";
import { standingsOf } from "../explain/service-standing.ts";
import { confirmFenced } from "../joining/confirm-fenced.ts";
import { packUnits } from "../plan/unit.ts";
import type { ServiceDecision } from "../reconcile/service-input.ts";
import { acceptDeployment } from "../release/accept-deployment.ts";
import { deploymentStep } from "../release/deployment-step.ts";
import { accept, type Decision, unchangedSince } from "../release/refusal.ts";
import {
  removeStack,
  restartService,
  rollbackStack,
  scaleService,
} from "../release/stack-commands.ts";
import { pauseTask, resumeTask } from "../release/task-commands.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import type { Respond } from "./dialogue.ts";
import { deviceWords, nodeChanged, wordValue } from "./node-words.ts";
import { serviceOf } from "./service-words.ts";
import { EXCLUSIVE_VOLUME, stackSpec } from "./specs.ts";
import { statusOf } from "./status-words.ts";
import { TableCluster } from "./table-cluster.ts";

const SCOPE = { project: "default", environment: "main", stack: "shop" };
/** A stack that is not at rest after so many looks at one instant never will be. */
const LOOKS_MAX = 20;

/** A fresh cluster that answers commands. */
export function stackDialogue(): Respond {
  const dialogue = new StackDialogue();
  return (words) => dialogue.respond(words);
}

class StackDialogue {
  readonly #cluster = new TableCluster();
  readonly #services = new Map<string, ServiceSpec>();
  readonly #volumes = new Map<string, VolumeSpec>();
  readonly #names = new Map<string, string>();
  readonly #births = new Map<string, number>();
  #deployments = 0;

  respond([command = "", ...words]: readonly string[]): readonly string[] {
    const commands: Readonly<Record<string, () => readonly string[]>> = {
      node: () => this.#node(words),
      suspend: () => this.#suspend(words),
      fenced: () =>
        this.#decide(
          confirmFenced(this.#view, { node: words[0] ?? "", who: "me", now: this.#now }),
        ),
      volume: () => this.#volume(words),
      policy: () => this.#policy(words),
      service: () => this.#service(words),
      drop: () => this.#drop(words),
      deploy: () => this.#deploy(),
      scale: () => this.#scale(words),
      restart: () => this.#decide(restartService(this.#view, this.#scope(words[0]))),
      rollback: () => this.#rollback(words),
      rm: () =>
        this.#decide(removeStack(this.#view, { scope: SCOPE, volumes: words, now: this.#now })),
      task: () => this.#task(words),
      pause: () => this.#pause(words),
      resume: () => this.#decide(resumeTask(this.#view, this.#taskScope(words[0]))),
      pass: () => this.#pass(words),
      look: () => this.#look(),
      operations: () => this.#finishOperations(),
      ps: () => this.#ps(),
      explain: () => this.#explain(words),
      plan: () => this.#plan(),
    };
    const run = commands[command];
    if (run === undefined) throw new SyntaxError(`no such command: ${command}`);
    return run();
  }

  get #view() {
    return this.#cluster.view;
  }
  get #now() {
    return this.#cluster.now;
  }

  #scope(service = "") {
    return { ...SCOPE, service };
  }

  #node([name = "", ...rest]: readonly string[]): string[] {
    const cluster = this.#cluster;
    const known = this.#view.nodes.get(keys.node(name))?.value;
    const [word] = rest;
    if (known === undefined) {
      const memory = wordValue(rest, "memory");
      const label = wordValue(rest, "label")?.split(":") ?? [];
      const labels = label[0] === undefined ? {} : { [label[0]]: label[1] ?? "" };
      const [kind, count] = wordValue(rest, "has")?.split(":") ?? [];
      const countables = kind === undefined ? {} : { countables: { [kind]: Number(count) } };
      const bytes = memory === undefined ? undefined : parseBytes(memory);
      cluster.addNode(name, { labels, ...countables }, bytes);
      return [];
    }
    const [kind, count, model] = wordValue(rest, "devices")?.split(":") ?? [];
    if (kind !== undefined) cluster.reportDevices(name, kind, Number(count), model);
    const [user = "", cpus, memory = ""] = wordValue(rest, "uses")?.split(":") ?? [];
    if (cpus !== undefined) {
      const use = { cpuMillis: Number(cpus) * 1_000, memoryBytes: parseBytes(memory) ?? 0 };
      cluster.reportUse(name, present(this.#names.get(user), `task ${user}`), use);
    }
    if (word === "gone") return this.#decide(withoutRow(this.#view, name));
    const [stated, number] = wordValue(rest, "has")?.split(":") ?? [];
    const countables = stated === undefined ? {} : { countables: { [stated]: Number(number) } };
    const changed = nodeChanged(known, rest, this.#now, cluster.settings);
    const value = { ...changed, ...countables };
    cluster.put("node", keys.node(name), value);
    return [];
  }

  /** Says that nothing of the node is given up, or takes that back. */
  #suspend([name = ""]: readonly string[]): string[] {
    const known = present(this.#view.nodes.get(keys.node(name)), `node ${name}`).value;
    const { evictionPausedUntil, ...rest } = known;
    const pause = evictionPausedUntil === undefined ? { evictionPausedUntil: this.#now + 1 } : {};
    this.#cluster.put("node", keys.node(name), { ...rest, ...pause });
    return [];
  }

  /** The project's quota and strategy, in place of what they were. */
  #policy(words: readonly string[]): string[] {
    const { project } = SCOPE;
    const memory = wordValue(words, "memory");
    const memoryBytes = memory === undefined ? undefined : parseBytes(memory);
    const tasks = wordValue(words, "tasks");
    const gpu = wordValue(words, "gpu");
    const strategy = wordValue(words, "strategy");
    const quota = {
      ...(memoryBytes === undefined ? {} : { memoryBytes }),
      ...(tasks === undefined ? {} : { tasks: Number(tasks) }),
      ...(gpu === undefined ? {} : { resources: { gpu: Number(gpu) } }),
    };
    const [name, weight] = wordValue(words, "weight")?.split(":") ?? [];
    const [className, resource = "", percent] = wordValue(words, "overcommit")?.split(":") ?? [];
    const placing = {
      ...(isStrategy(strategy) ? { strategy } : {}),
      ...(name === undefined ? {} : { weights: { [name]: Number(weight) } }),
      ...(className === undefined
        ? {}
        : { overcommit: { [className]: { [resource]: Number(percent) } } }),
    };
    this.#cluster.put("policy", keys.policy(project), { project, allow: [], quota, ...placing });
    return [];
  }

  #volume([name = "", ...flags]: readonly string[]): string[] {
    this.#volumes.set(name, {
      ...EXCLUSIVE_VOLUME,
      mode: flags.includes("shared") ? "shared" : "exclusive",
      perCopy: flags.includes("per-copy"),
      ...(flags.includes("nfs") ? { driverOptions: { type: "nfs" } } : {}),
    });
    return [];
  }

  #service([name = "", ...words]: readonly string[]): string[] {
    this.#services.set(name, serviceOf(words));
    return [];
  }

  #drop([name = ""]: readonly string[]): string[] {
    this.#services.delete(name);
    return [];
  }

  #spec(): PinnedSpec {
    return stackSpec(Object.fromEntries(this.#services), {
      volumes: Object.fromEntries(this.#volumes),
    });
  }

  #deploy(): string[] {
    const cluster = this.#cluster;
    const id = `deploy${String(++this.#deployments).padStart(2, "0")}`;
    const request = {
      scope: SCOPE,
      spec: this.#spec(),
      secrets: {},
      actor: "me",
      now: this.#now,
      id,
    };
    const decision = acceptDeployment(this.#view, request, cluster.settings);
    if (decision.kind === "refused") return refused(decision);
    cluster.apply(decision.txn);
    for (let step = 0; step < LOOKS_MAX; step++) {
      const deployment = this.#view.deployments.get(keys.deployment(SCOPE, id));
      if (deployment === undefined || deployment.value.state !== "pending") break;
      const unit = deploymentStep({
        view: this.#view,
        deployment,
        now: this.#now,
        newId: cluster.ids.identifier,
        settings: cluster.settings,
      });
      for (const { txn } of unit === undefined ? [] : packUnits([unit], [])) cluster.apply(txn);
      cluster.finishOperations();
    }
    const { state, release, error } = present(
      this.#view.deployments.get(keys.deployment(SCOPE, id)),
      "the deployment",
    ).value;
    const number = release === undefined ? "" : ` ${release}`;
    return [
      `deployment ${state}${number}${error === undefined ? "" : ` ${error.code}: ${error.message}`}`,
    ];
  }

  #scale([service = "", copies = "0"]: readonly string[]): string[] {
    const request = {
      scope: this.#scope(service),
      copies: Number(copies),
      source: "user",
    } as const;
    return this.#decide(scaleService(this.#view, request));
  }

  #rollback([release]: readonly string[]): string[] {
    const wish = release === undefined ? {} : { release: Number(release) };
    return this.#decide(rollbackStack(this.#view, { scope: SCOPE, now: this.#now, ...wish }));
  }

  #decide(decision: Decision<unknown>): string[] {
    if (decision.kind === "refused") return refused(decision);
    return this.#cluster.apply(decision.txn) ? [] : ["overtaken"];
  }

  #task([name = "", ...words]: readonly string[]): string[] {
    const id = present(this.#names.get(name), `task ${name}`);
    const [entity] = this.#view.tasks.by("id", id);
    const task = present(entity, `task ${name}`).value;
    const key = keys.status(task, id);
    const before = this.#view.statuses.get(key)?.value;
    this.#cluster.put("status", key, statusOf(task, before, words, this.#now));
    return [];
  }

  #taskScope(name = "") {
    const { project, environment } = SCOPE;
    return { project, environment, task: present(this.#names.get(name), `task ${name}`) };
  }

  #pause([name, ...words]: readonly string[]): string[] {
    const reason = words.filter((word) => word !== "force").join(" ");
    const request = {
      scope: this.#taskScope(name),
      by: "me",
      force: words.includes("force"),
      now: this.#now,
      ...(reason === "" ? {} : { reason }),
    };
    return this.#decide(pauseTask(this.#view, request));
  }

  #pass([duration = ""]: readonly string[]): string[] {
    this.#cluster.now += present(parseDuration(duration), "a duration");
    return [];
  }

  #finishOperations(): string[] {
    const open = this.#view.operations.all().filter(({ value }) => value.state === "pending");
    this.#cluster.finishOperations();
    return open.map(({ value }) => `${value.node} has done ${value.input.kind}`);
  }

  /** Looks until nothing changes, telling what was decided each time. */
  #look(): string[] {
    const lines: string[] = [];
    for (let look = 0; look < LOOKS_MAX; look++) {
      const before = this.#view.stacks.get(keys.stack(SCOPE))?.value;
      const known = new Set(this.#view.tasks.by("stack", stackKey(SCOPE)).map(({ key }) => key));
      const round = this.#cluster.look(SCOPE);
      if (round === undefined) return [...lines, "the stack is gone"];
      this.#nameTasks();
      for (const { service, decision } of round.decision.services) {
        lines.push(...this.#decided(service, decision, known));
      }
      const after = this.#view.stacks.get(keys.stack(SCOPE))?.value;
      lines.push(...rolloutLines(before?.rollout, after?.rollout, after?.release));
      if (round.writes > 0) continue;
      return [...lines, ...waitLines(round)];
    }
    return [...lines, `not at rest after ${LOOKS_MAX} looks`];
  }

  #decided(
    service: string,
    { starts, stops }: ServiceDecision,
    known: ReadonlySet<string>,
  ): string[] {
    return [
      ...starts.map(({ place, reason, givesUp }) => {
        const made = this.#tasks(service).find(
          (task) => task.slot === place.slot && !known.has(keys.task(task, task.id)),
        );
        const given = givesUp.map(({ task }) => ` giving up ${this.#nameOf(task)}`).join("");
        return made === undefined
          ? `wants ${service}-${place.slot}: ${reason}`
          : `start ${this.#nameOf(made)} on ${made.node}: ${reason}${given}`;
      }),
      ...stops.map(({ record, reason, giveUp }) => {
        return `${giveUp ? "give up" : "stop"} ${this.#nameOf(record.task)}: ${reason}`;
      }),
    ];
  }

  #tasks(service: string): Task[] {
    return this.#view.tasks
      .by("service", serviceKey(this.#scope(service)))
      .map(({ value }) => value);
  }

  #nameTasks(): void {
    for (const { value } of this.#view.tasks.by("stack", stackKey(SCOPE))) this.#nameOf(value);
  }

  #nameOf(task: Task): string {
    for (const [name, id] of this.#names) if (id === task.id) return name;
    const place = `${task.service}-${task.slot}`;
    const birth = (this.#births.get(place) ?? 0) + 1;
    this.#births.set(place, birth);
    const name = `${place}#${birth}`;
    this.#names.set(name, task.id);
    return name;
  }

  #ps(): string[] {
    const stack = this.#view.stacks.get(keys.stack(SCOPE))?.value;
    if (stack === undefined) return ["no stack"];
    const services = standingsOf(this.#view, stack, this.#now).map(
      ({ service, state, ready, live, wanted, completed }) =>
        `${service}: ${state}, ${ready} of ${wanted} ready, ${live} live${completed > 0 ? `, ${completed} completed` : ""}`,
    );
    const tasks = this.#view.tasks
      .by("stack", stackKey(SCOPE))
      .map(({ value }) => this.#taskLine(value));
    return [...services, ...tasks.sort()];
  }

  #taskLine(task: Task): string {
    const status: TaskStatus | undefined = this.#view.statuses.get(
      keys.status(task, task.id),
    )?.value;
    const state =
      status === undefined ? "unknown" : `${status.state}${status.ready ? " ready" : ""}`;
    const verdict = task.verdict === undefined ? "" : ` ${task.verdict.kind}`;
    const pod = task.podTask === undefined ? "" : ` with ${this.#podName(task.podTask)}`;
    const devices = (task.devices ?? []).map(deviceWords).join("");
    return `  ${this.#nameOf(task)} ${task.node} release ${task.release} ${task.desired}${verdict}, ${state}${pod}${devices}`;
  }

  #podName(id: string): string {
    const [holder] = this.#view.tasks.by("id", id);
    return holder === undefined ? "a task that is gone" : this.#nameOf(holder.value);
  }

  #explain([service = ""]: readonly string[]): string[] {
    const { view, settings, inFlight } = this.#cluster;
    const input = {
      view,
      now: this.#now,
      settings,
      inFlight,
      remembered: [],
      removal: [],
    };
    const result = explainService(input, this.#scope(service));
    if (result.kind === "refused") return refused(result);
    const { explanation } = result;
    return [
      explanation.summary,
      ...explanation.tasks.flatMap(({ name, node, line, reasons }) => [
        `  ${name} on ${node}: ${line}`,
        ...reasons.map((each) => `    ${each}`),
      ]),
      ...explanation.advice.map((each) => `try: ${each}`),
    ];
  }

  #plan(): string[] {
    const { view, settings, inFlight } = this.#cluster;
    const request = { scope: SCOPE, spec: this.#spec(), secrets: {}, now: this.#now };
    const result = planDeployment({ view, request, settings, inFlight });
    if (result.kind === "refused") return refused(result);
    const { plan } = result;
    return [
      `would make release ${plan.release} (now ${plan.current ?? "none"})`,
      ...plan.services.flatMap((each) => [
        `${each.service}: ${each.action}, ${each.copiesNow} → ${each.copies} copies, ${each.order}`,
        ...(each.note === undefined ? [] : [`  ${each.note}`]),
        ...each.changes.map(
          ({ field, change, from, to }) => `  ${field} ${change} ${from ?? ""} → ${to ?? ""}`,
        ),
        ...each.placements.map(
          ({ slot, fromNode, node, refusal }) =>
            `  ${each.service}-${slot}: ${fromNode ?? "-"} → ${node ?? refusal}`,
        ),
      ]),
      `networks +${plan.networks.create} -${plan.networks.remove}; volumes +${plan.volumes.create} keep ${plan.volumes.keep}`,
      ...plan.warnings.map((each) => `warning: ${each}`),
    ];
  }
}

/** The node's row is gone, as after its removal. */
function withoutRow(view: ClusterView, name: string): Decision<undefined> {
  const key = keys.node(name);
  const revision = view.nodes.get(key)?.revision;
  return accept(undefined, [unchangedSince(key, revision)], [{ kind: "delete", key }]);
}

function refused(refusal: {
  readonly code: string;
  readonly message: string;
  readonly details: object;
}): string[] {
  const problems = "problems" in refusal.details ? refusal.details.problems : [];
  const list = (Array.isArray(problems) ? problems : []).map(
    ({ path, message }: { readonly path: string; readonly message: string }) =>
      `  ${path}: ${message}`,
  );
  return [`refused ${refusal.code}`, ...(list.length === 0 ? [`  ${refusal.message}`] : list)];
}

function isStrategy(word: string | undefined): word is StrategyWord {
  return word !== undefined && Object.hasOwn(STRATEGY_WORDS, word);
}

interface RolloutLike {
  readonly state: string;
  readonly release: number;
  readonly failure?: {
    readonly reason: string;
    readonly exitCode?: number;
    readonly logTail: readonly string[];
  };
}

function rolloutLines(
  before: RolloutLike | undefined,
  after: RolloutLike | undefined,
  release = 0,
): string[] {
  if (after === undefined || (before?.state === after.state && before.release === after.release))
    return [];
  const { failure } = after;
  const why =
    failure === undefined
      ? []
      : [`  ${failure.reason}`, ...failure.logTail.map((line) => `  | ${line}`)];
  return [
    `rollout of release ${after.release} is ${after.state}; the stack is at release ${release}`,
    ...why,
  ];
}

function waitLines(round: NonNullable<ReturnType<TableCluster["look"]>>): string[] {
  const waits = round.decision.services.flatMap(({ service, decision }) => [
    ...decision.waits,
    ...(round.waits.get(service) ?? []),
  ]);
  return [...waits, ...round.removalWaits].map(({ message }) => `wait: ${message}`);
}
