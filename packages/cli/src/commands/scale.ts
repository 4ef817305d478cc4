/** `berth scale` */

import { formatDuration, parseDuration, sleep, systemClock } from "@berth/base";
import { type ApiClient, ProtocolError, type Scale } from "@berth/protocol";
import { type CommandDescription, type CommandInput, textOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { serviceOf } from "../target.ts";

/** Between looks while copies are waited for: a copy takes a tenth of a second at least. */
const LOOK_MS = 200;

interface Wish {
  readonly scope: ReturnType<typeof serviceOf>;
  readonly copies: number;
}

export const command: CommandDescription = {
  summary: "set the number of copies of a service",
  details:
    "Holds until the number in the stack's file changes. Makes no release. Returns at once, or with --timeout when as many copies are ready.",
  arguments: [
    { name: "service=copies", summary: "STACK/SERVICE=NUMBER", required: true, variadic: true },
  ],
  options: [
    {
      flags: "--timeout <duration>",
      summary: "wait until as many copies are ready, for this long at most; the number stays",
    },
  ],
  examples: [
    { line: "berth scale shop/web=5", does: "five copies" },
    { line: "berth scale shop/web=5 --timeout 2m", does: "and waits until all five are ready" },
  ],
  async run(input) {
    const timeoutMs = timeoutOf(input);
    const wishes = input.words.map((word) => wishOf(input, word));
    const api = input.connect();
    const until = performance.now() + (timeoutMs ?? 0);
    const scales: Scale[] = [];
    for (const { scope, copies } of wishes) {
      const params = { ...scope };
      const { signal } = input;
      scales.push(await api.call("scaleService", { params, body: { copies }, signal }));
      if (timeoutMs === undefined) tell(input, { scope, copies }, scales.at(-1));
    }
    if (timeoutMs === undefined) return EXIT.done;
    for (const [index, wish] of wishes.entries()) {
      await untilReady(input, api, { ...wish, until, timeoutMs });
      tell(input, wish, scales[index]);
    }
    return EXIT.done;
  },
};

function wishOf(input: CommandInput, word: string): Wish {
  const match = /^(.+)=(\d+)$/.exec(word);
  if (match === null) {
    throw new ProtocolError("invalid_request", `"${word}" is not STACK/SERVICE=NUMBER`);
  }
  return { scope: serviceOf(input, match[1] ?? ""), copies: Number(match[2]) };
}

/** Nothing without the option: nobody waits. */
function timeoutOf(input: CommandInput): number | undefined {
  const text = textOption(input, "timeout");
  if (text === undefined) return undefined;
  const timeoutMs = parseDuration(text);
  if (timeoutMs !== undefined && timeoutMs > 0) return timeoutMs;
  throw new ProtocolError("invalid_request", `"${text}" is no duration; expected 30s, 5m, 1h30m`);
}

function tell({ output }: CommandInput, { scope, copies }: Wish, scale: Scale | undefined): void {
  const { stack, service } = scope;
  if (output.json) output.line(JSON.stringify(scale));
  else output.line(`${stack}/${service}: ${copies} copies (berth ps ${stack})`);
}

interface Waiting extends Wish {
  /** Of this process's clock, milliseconds. */
  readonly until: number;
  readonly timeoutMs: number;
}

/** @throws ProtocolError `timed_out` with what it waits for, `conflict` when somebody else has set another number */
async function untilReady(input: CommandInput, api: ApiClient, waiting: Waiting): Promise<void> {
  const { scope, copies, until, timeoutMs } = waiting;
  const { service, ...stackScope } = scope;
  const { signal } = input;
  const name = `${scope.stack}/${service}`;
  for (;;) {
    const { services } = await api.call("getStack", { params: stackScope, signal });
    const now = services.find((each) => each.service === service);
    if (now?.wanted !== copies) {
      const message = `${name} is to have ${now?.wanted ?? 0} copies by now: somebody else has set another number`;
      throw new ProtocolError("conflict", message, { copies, wanted: now?.wanted ?? 0 });
    }
    if (now.ready === copies) return;
    if (performance.now() >= until) {
      const { summary } = await api.call("explainService", { params: { ...scope }, signal });
      const message = `${name}: ${now.ready} of ${copies} copies are ready after ${formatDuration(timeoutMs)}; the number stays (berth explain ${name})`;
      throw new ProtocolError("timed_out", message, { timeoutMs, problems: [summary] });
    }
    await sleep(systemClock, LOOK_MS, signal);
  }
}
