/** Backups and restores of volumes: their content to whoever asks, and from there into a new engine volume. */

import {
  asProtocolError,
  type DialRequest,
  errorOfProblem,
  type FrameStream,
  jsonOfFrame,
  keys,
  ProtocolError,
  problemOf,
  stackKey,
  type Volume,
} from "@berth/protocol";
import type { ApiContext, Handler } from "../handler.ts";
import { booleanOf } from "../paging.ts";
import { receive } from "../transfers.ts";
import { HeldVolume } from "../volume-holding.ts";

export const backupVolume: Handler<"backupVolume"> = async ({ params, query, signal }, context) => {
  const { volume: name, ...scope } = params;
  const found = context.state.view.volumes.get(keys.volume(scope, name))?.value;
  if (booleanOf("live", query.live)) {
    if (found?.node === undefined) {
      throw new ProtocolError(
        "not_found",
        `stack ${stackKey(scope)} has no volume ${name} with data`,
      );
    }
    return await contentOf(context, found, { live: true, signal, done: () => {} });
  }
  const held = await HeldVolume.take(context, { scope, name, kind: "backup", signal });
  let isWhole = false;
  const done = () => {
    void (isWhole ? held.done() : held.fail(new Error("the backup was cut off")));
  };
  try {
    const onEnd = () => {
      isWhole = true;
    };
    return await contentOf(context, held.volume, { live: false, signal: held.signal, done, onEnd });
  } catch (error) {
    await held.fail(error);
    throw error;
  }
};

async function contentOf(
  { sessions, transfers }: ApiContext,
  { node = "", engineName }: Volume,
  options: {
    readonly live: boolean;
    readonly signal: AbortSignal;
    readonly done: () => void;
    readonly onEnd?: () => void;
  },
): Promise<AsyncIterable<Uint8Array>> {
  const { live, signal, onEnd } = options;
  const give = transfers.begin(node);
  const done = () => {
    give();
    options.done();
  };
  try {
    const stream = await sessions.open(node, { kind: "volume", engineName, live }, signal);
    const what = `volume ${engineName} on node ${node}`;
    return await receive(stream, { what, done, signal, ...(onEnd === undefined ? {} : { onEnd }) });
  } catch (error) {
    done();
    throw error;
  }
}

export const restoreVolume: Handler<"restoreVolume"> = async ({ params, signal }, context) => {
  const { volume: name, ...scope } = params;
  const held = await HeldVolume.take(context, { scope, name, kind: "restore", signal });
  try {
    const { node = "", engineName } = held.volume;
    const made = `${engineName.replace(/\.[mr][a-z0-9]+$/, "")}.r${context.newId().slice(0, 6)}`;
    await held.change((volume, hold) => ({ ...volume, hold: { ...hold, copy: made } }));
    const request = restoreRequest(context, held.volume, made);
    const agent = await context.sessions.open(node, request, held.signal);
    return (user) => restoreFrom(context, held, { user, agent });
  } catch (error) {
    await held.fail(error);
    throw error;
  }
};

function restoreRequest(
  { state: { view } }: ApiContext,
  volume: Volume,
  engineName: string,
): DialRequest["request"] {
  const number = view.stacks.get(keys.stack(volume))?.value.release ?? 0;
  const spec = view.releases.get(keys.release(volume, number))?.value.volumes[volume.name];
  return {
    kind: "restore-volume",
    engineName,
    driverOptions: spec?.driverOptions ?? {},
    labels: { ...spec?.labels, "berth.stack": stackKey(volume) },
    ...(spec?.driver === undefined ? {} : { driver: spec.driver }),
  };
}

/** Hands frames on until the agent has all of it; then the new volume becomes the volume. */
async function restoreFrom(
  context: ApiContext,
  held: HeldVolume,
  { user, agent }: { readonly user: FrameStream; readonly agent: FrameStream },
): Promise<void> {
  const sending = (async () => {
    for await (const { kind, payload } of user.frames()) {
      await agent.send(kind, payload);
      if (kind === "end") return;
    }
    throw new ProtocolError("unavailable", "the sender of the archive has gone");
  })();
  try {
    const [word] = await Promise.all([lastWord(agent), sending.catch(closing(agent))]);
    const now = context.clock.now();
    await held.done((volume, hold) => {
      const { copy: made = volume.engineName, until: _over, ...rest } = hold;
      const leftover = { node: volume.node ?? "", engineName: volume.engineName };
      const cleaning = { ...rest, phase: "cleaning", changedAt: now, leftover } as const;
      return { ...volume, engineName: made, hold: cleaning };
    });
    await user.send("data", Buffer.from(JSON.stringify(word)));
    await user.send("end", new Uint8Array());
  } catch (error) {
    await held.fail(error);
    const problem = errorFrame(error);
    await user.send("error", problem).catch(() => {});
  } finally {
    agent.close();
  }
}

/** A sender that has gone ends the agent's side, too: its word is an error then. */
function closing(agent: FrameStream): (error: unknown) => never {
  return (error) => {
    agent.close();
    throw error;
  };
}

async function lastWord(agent: FrameStream): Promise<unknown> {
  for await (const frame of agent.frames()) {
    if (frame.kind === "data") return jsonOfFrame(frame);
    if (frame.kind !== "error") continue;
    const problem = errorOfProblem(jsonOfFrame(frame));
    throw problem ?? new ProtocolError("engine_error", "the node could not write the volume");
  }
  throw new ProtocolError("node_unreachable", "the node went away before all was written");
}

function errorFrame(error: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(problemOf(asProtocolError(error))));
}
