/** `berth deploy` */

import { randomUUID } from "node:crypto";
import { formatBytes, formatDuration, parseDuration } from "@berth/base";
import { type DeclaredParameters, declaredParameters, formatProblem } from "@berth/compose";
import {
  type ApiClient,
  type Deployment,
  ERRORS,
  ProtocolError,
  type ResolvedParameters,
  type StackScope,
} from "@berth/protocol";
import { type CommandDescription, type CommandInput, flagOption, textOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { type DeployOutcome, DeployView } from "../stack/deploy-view.ts";
import { givenValues, SET_OPTIONS } from "../stack/given-values.ts";
import { FILE_OPTIONS, loadOpened, openStack, shortened, stackName } from "../stack/load-stack.ts";
import { planLines } from "../stack/plan-lines.ts";
import {
  type PreparedStack,
  prepareStack,
  uploadObjects,
  withPlaces,
} from "../stack/prepare-stack.ts";
import { masked, parameterLines, resolveValues } from "../stack/resolve-values.ts";

export const command: CommandDescription = {
  summary: "make a release of a Compose file and move the services to it",
  details:
    "Waits until every copy of every service has been healthy for its minimum time. A release that does not get there is rolled back to the last good one, with the reason.",
  options: [
    ...FILE_OPTIONS,
    ...SET_OPTIONS,
    { flags: "--plan", summary: "show what would happen and change nothing" },
    { flags: "-d, --detach", summary: "do not wait for the services" },
    {
      flags: "--timeout <duration>",
      summary: "give up waiting after this long; the rollout goes on",
      fallback: "10m",
    },
  ],
  examples: [
    { line: "berth deploy -f compose.yaml", does: "deploy, under the file's name or its folder's" },
    { line: "berth deploy -f compose.yaml --plan", does: "what it would do, and where" },
    {
      line: "berth deploy -f compose.yaml -f prod.yaml --stack shop --env prod",
      does: "two files, into another environment",
    },
    {
      line: "berth deploy -f compose.yaml --set DOMAIN=shop.example.com",
      does: "with a value for a parameter of the file; it is kept for the next deploys",
    },
  ],
  run,
};

const TIMEOUT_MS = 600_000;
/** Lines on a terminal move at most this often. */
const REDRAW_MS = 100;

async function run(input: CommandInput): Promise<number> {
  const timeoutMs = timeoutOf(input);
  const ready = await readStack(input);
  writeWarnings(input, ready.prepared);
  try {
    return await (flagOption(input, "plan") ? plan(input, ready) : deploy(input, ready, timeoutMs));
  } catch (error) {
    throw withPlaces(error, ready.prepared);
  }
}

async function deploy(input: CommandInput, ready: ReadyStack, timeoutMs: number): Promise<number> {
  const { prepared, scope, api } = ready;
  noteMadeUp(input, ready);
  const sent = await uploadObjects(api, prepared.objects, input.signal);
  if (sent > 0 && input.output.interactive) input.output.note(`uploaded ${formatBytes(sent)}`);
  const deployment = await api.call("deployStack", {
    params: { ...scope },
    body: { spec: prepared.spec },
    idempotencyKey: randomUUID(),
    signal: input.signal,
  });
  if (flagOption(input, "detach")) {
    input.output.line(
      input.output.json ? ready.hide(JSON.stringify(deployment)) : `accepted as ${deployment.id}`,
    );
    return EXIT.done;
  }
  return follow(input, api, { scope, deployment, timeoutMs });
}

interface ReadyStack {
  readonly prepared: PreparedStack;
  readonly scope: StackScope;
  readonly api: ApiClient;
  /** Names and sources of the parameters for the plan; hides secret values. */
  readonly parameters: readonly string[];
  /** Names of parameters whose values were made up and kept just now. */
  readonly madeUp: readonly string[];
  readonly hide: (text: string) => string;
}

/** Loads and compiles the files, with a value for each parameter that they declare. */
async function readStack(input: CommandInput): Promise<ReadyStack> {
  const opened = await openStack(input);
  const declared = placed(input, declaredParameters(opened.options));
  const given = givenValues(input, declared);
  if (Object.keys(declared.declarations).length === 0) {
    const loaded = loadOpened(input, opened);
    const prepared = await prepareStack(input, loaded);
    const scope = { ...input.scope(), stack: stackName(loaded.project.name) };
    return { prepared, scope, api: input.connect(), ...NO_PARAMETERS };
  }
  const api = input.connect();
  const scope = { ...input.scope(), stack: stackName(declared.name) };
  const prepare = (values: ResolvedParameters["values"]) => {
    const texts = Object.entries(values).map(([name, { value }]) => [name, value] as const);
    return prepareStack(input, loadOpened(input, opened, Object.fromEntries(texts)));
  };
  // Tried with values that nobody keeps: a file that is wrong leaves nothing behind.
  const asking = { api, scope, declared };
  const tried = await resolveValues(input, { ...asking, dryRun: true }, given);
  let { resolved } = tried;
  let prepared = await prepare(resolved.values);
  if (!flagOption(input, "plan")) {
    ({ resolved } = await resolveValues(input, { ...asking, dryRun: false }, tried.given));
    prepared = await prepare(resolved.values);
  }
  const parameters = parameterLines(resolved);
  const madeUp = Object.entries(resolved.values)
    .filter(([, { source }]) => source === "generated")
    .map(([name]) => name);
  const hide = (text: string) => masked(text, resolved, declared);
  return { prepared, scope, api, parameters, madeUp, hide };
}

const NO_PARAMETERS = { parameters: [], madeUp: [], hide: (text: string) => text } as const;

/** A password that nobody chose is of no use to who does not know where it is. */
function noteMadeUp(input: CommandInput, { madeUp, scope }: ReadyStack): void {
  if (madeUp.length === 0) return;
  const names = madeUp.join(", ");
  const show = `berth stack parameters ${scope.stack} --show`;
  input.output.note(`  made up and kept: ${names} (${show} tells what they are)`);
}

/** Declarations with paths as the user would write them. */
function placed<T extends DeclaredParameters>(input: CommandInput, declared: T): T {
  const places = Object.entries(declared.places).map(([name, place]) => [
    name,
    shortened(place, input),
  ]);
  return { ...declared, places: Object.fromEntries(places) };
}

function timeoutOf(input: CommandInput): number {
  const text = textOption(input, "timeout");
  if (text === undefined) return TIMEOUT_MS;
  const timeoutMs = parseDuration(text);
  if (timeoutMs !== undefined && timeoutMs > 0) return timeoutMs;
  throw new ProtocolError("invalid_request", `"${text}" is no duration; expected 30s, 5m, 1h30m`);
}

function writeWarnings(input: CommandInput, { warnings }: PreparedStack): void {
  for (const warning of warnings) {
    input.output.note(
      `  ${input.output.paint("yellow", "warning")} ${formatProblem(shortened(warning, input))}`,
    );
  }
}

async function plan(
  input: CommandInput,
  { api, scope, prepared: { spec }, parameters, hide }: ReadyStack,
): Promise<number> {
  const body = { spec };
  const answer = await api.call("planStack", { params: { ...scope }, body, signal: input.signal });
  if (input.output.json) input.output.line(hide(JSON.stringify(answer)));
  else for (const line of planLines(scope, answer, parameters)) input.output.line(hide(line));
  return EXIT.done;
}

interface Following {
  readonly scope: StackScope;
  readonly deployment: Deployment;
  readonly timeoutMs: number;
}

/** Watches the stack until the rollout has ended, one way or another. */
async function follow(input: CommandInput, api: ApiClient, following: Following): Promise<number> {
  const { scope, deployment, timeoutMs } = following;
  const { project, environment, stack } = scope;
  const view = new DeployView(deployment);
  const started = Date.now();
  const ending = AbortSignal.any([input.signal, AbortSignal.timeout(timeoutMs)]);
  const selectors = (["deployment", "stack", "scale", "task", "status", "operation"] as const).map(
    (kind) => ({
      kind,
      project,
      environment,
      stack,
    }),
  );
  const progress = new Progress(input, scope, view);
  const events = await api.call("watch", { params: {}, body: { selectors }, signal: ending });
  try {
    for await (const event of events) {
      view.apply(event);
      if (event.type === "resync") throw resyncError(event.reason);
      const outcome = view.outcome();
      progress.show(outcome.kind !== "pending");
      if (outcome.kind !== "pending") {
        return finish(input, scope, { outcome, view, started, progress });
      }
    }
  } catch (error) {
    if (!ending.aborted || input.signal.aborted) throw error;
  }
  const problems = await lateServices(input, api, scope);
  const message = `not finished after ${formatDuration(timeoutMs)}; the rollout goes on (berth explain ${stack})`;
  throw new ProtocolError("timed_out", message, { timeoutMs, problems });
}

/** What each service that is not there yet waits for, a line each. */
async function lateServices(
  input: CommandInput,
  api: ApiClient,
  scope: StackScope,
): Promise<string[]> {
  const { signal } = input;
  const { services } = await api.call("getStack", { params: { ...scope }, signal });
  const late = services.filter(
    ({ ready, wanted, state }) => ready < wanted && state !== "completed",
  );
  const lines: string[] = [];
  for (const { service } of late.slice(0, LATE_SERVICES_SHOWN_MAX)) {
    const params = { ...scope, service };
    const { summary, waits } = await api.call("explainService", { params, signal });
    const words = waits.map(({ message }) => message).filter((text) => !summary.includes(text));
    lines.push([`${service}: ${summary}`, ...words].join("; "));
  }
  return lines;
}

/** Of a large stack that waits for one thing, the first few say it all. */
const LATE_SERVICES_SHOWN_MAX = 10;

function resyncError(reason: string): ProtocolError {
  return new ProtocolError("unavailable", `the watch ended: ${reason}; berth ps shows the state`);
}

/** Moving lines on a terminal; in a pipe a line for each service when it is ready. */
class Progress {
  readonly #input: CommandInput;
  readonly #view: DeployView;
  readonly #title: string;
  readonly #told = new Set<string>();
  #drawnAt = 0;
  #headed = false;

  constructor(input: CommandInput, scope: StackScope, view: DeployView) {
    this.#input = input;
    this.#view = view;
    this.#title = `${scope.stack} → ${scope.project}/${scope.environment}`;
  }

  show(last: boolean): void {
    const { output } = this.#input;
    if (output.json) return;
    const now = Date.now();
    if (!output.interactive) {
      this.#head();
      const arrived = this.#view.arrived().filter((name) => !this.#told.has(name));
      this.#tell(now, (name) => arrived.includes(name));
      return;
    }
    if (!last && now - this.#drawnAt < REDRAW_MS) return;
    this.#drawnAt = now;
    this.#head();
    const preparation = this.#view.preparation;
    output.live(
      preparation === undefined
        ? this.#view.serviceLines(now, output.paint)
        : [`  images  ${preparation}`],
    );
  }

  /** Lasting lines of the services that were not told yet. */
  tellRest(): void {
    this.#tell(Date.now(), (name) => !this.#told.has(name));
  }

  #tell(now: number, only: (service: string) => boolean): void {
    const { output } = this.#input;
    const told = (service: string) => {
      const isNow = only(service);
      if (isNow) this.#told.add(service);
      return isNow;
    };
    for (const line of this.#view.serviceLines(now, output.paint, told)) output.line(line);
  }

  #head(): void {
    const { release } = this.#view.deployment;
    if (this.#headed || release === undefined) return;
    this.#headed = true;
    this.#input.output.line(`${this.#title}   release ${release}`);
  }
}

interface Ending {
  readonly outcome: Exclude<DeployOutcome, { readonly kind: "pending" }>;
  readonly view: DeployView;
  readonly started: number;
  readonly progress: Progress;
}

function finish(input: CommandInput, scope: StackScope, ending: Ending): number {
  const { output } = input;
  const { outcome, view, started, progress } = ending;
  const tookMs = Date.now() - started;
  if (output.json) {
    output.line(JSON.stringify({ ...scope, outcome, deployment: view.deployment.id, tookMs }));
    return outcome.kind === "complete" || outcome.kind === "unchanged" ? EXIT.done : EXIT.failed;
  }
  output.live([]);
  switch (outcome.kind) {
    case "unchanged":
      output.line(`${scope.stack}: unchanged, release ${outcome.release} runs`);
      return EXIT.done;
    case "complete":
      progress.tellRest();
      output.line(
        `${scope.stack}: release ${outcome.release} is healthy after ${formatDuration(tookMs)}`,
      );
      return EXIT.done;
    case "superseded":
      output.note(
        `${scope.stack}: release ${outcome.release} was deployed meanwhile; this one was left`,
      );
      return EXIT.failed;
    case "refused":
      for (const line of refusalLines(scope, outcome.error)) output.note(line);
      output.note("  nothing was changed");
      return EXIT.failed;
    case "failed":
      for (const line of failureLines(scope, outcome)) output.note(line);
      return EXIT.failed;
  }
}

function refusalLines({ stack }: StackScope, error: Refusal): string[] {
  const message = `${stack}: ${error.message}`;
  if (!Object.hasOwn(ERRORS, error.code)) return [message];
  const { advice } = ERRORS[error.code as keyof typeof ERRORS];
  return advice === "" ? [message] : [message, `  ${advice}`];
}
type Refusal = Extract<DeployOutcome, { readonly kind: "refused" }>["error"];

const LOG_LINES_SHOWN = 50;

function failureLines(
  scope: StackScope,
  { rollout }: Extract<DeployOutcome, { readonly kind: "failed" }>,
): string[] {
  const { failure, release, from, state } = rollout;
  const service = failure === undefined ? "" : `/${failure.service}`;
  const after =
    state === "rolled-back"
      ? `was rolled back to release ${from}`
      : state === "paused"
        ? "is paused; berth rollback goes back, a new deploy goes on"
        : "stays as it is (there is no good release to go back to)";
  const log = (failure?.logTail ?? []).slice(-LOG_LINES_SHOWN).map((line) => `    ${line}`);
  return [
    `${scope.stack}${service}: release ${release} failed and ${after}`,
    ...(failure === undefined ? [] : [`  ${failure.reason}`]),
    ...log,
    `  more: berth logs ${scope.stack}${service} --release ${release}`,
  ];
}
