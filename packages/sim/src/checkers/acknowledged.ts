/**
 * Acknowledged writes are kept. What a user was told is done was committed, exactly as told, exactly once,
 * and is still there until the user himself or a rule that he knows changes it.
 *
 * Speaks at an answer whose object was never committed; at a restart that was not counted exactly once,
 * however often the request was repeated; when a deployment that was accepted vanishes before its stack or
 * before twenty newer ones; and when the store's contents are not what its commits made.
 */

import { DEFAULT_SETTINGS } from "@berth/control-plane/settings";
import { keys, type StackScope, stackKey } from "@berth/protocol";
import type { Acknowledged } from "../acknowledgements.ts";
import type { Written } from "../store-journal.ts";
import type { Checker, Scene, Speak } from "./checker.ts";

const KINDS = new Set(["stack", "scale", "deployment"]);

export function acknowledgedChecker(): Checker {
  /** Every value that a key ever had, with the keys of its objects sorted. */
  const history = new Map<string, Set<string>>();
  /** Restarts acknowledged by stack life and service. */
  const restarts = new Map<string, number>();
  const deployments = new Map<string, StackScope>();
  return {
    name: "acknowledged",
    onWritten(written, scene, speak) {
      for (const each of written) {
        const { kind = "" } = each;
        if (!KINDS.has(kind)) continue;
        if (each.value !== undefined) remember(history, each.key, each.value.decoded);
        if (kind === "deployment" && each.value === undefined) {
          checkForgotten(each, deployments, scene, speak);
        }
      }
    },
    onAcknowledged(acknowledged, _scene, speak) {
      const key = keyOf(acknowledged);
      if (!history.get(key)?.has(canonical(acknowledged.answer))) {
        speak(`${acknowledged.kind} of ${acknowledged.stack} was acknowledged, never committed`);
      }
      if (acknowledged.kind === "deployed") deployments.set(key, acknowledged.answer);
      if (acknowledged.kind === "restarted") {
        const { answer, service } = acknowledged;
        const life = `${stackKey(answer)} ${answer.createdAt} ${service}`;
        const count = (restarts.get(life) ?? 0) + 1;
        restarts.set(life, count);
        const counted = answer.restarts[service];
        if (counted !== count)
          speak(`${count} restarts of ${life} were told done, ${counted} counted`);
      }
    },
    atEnd(scene, speak) {
      const key = scene.cluster.journal.disagreement();
      if (key !== undefined) speak(`the store's ${key} is not what was committed`);
      for (const user of scene.users) checkScales(user.stack, user.promised.scales, scene, speak);
    },
  };
}

function remember(history: Map<string, Set<string>>, key: string, value: unknown): void {
  const values = history.get(key) ?? new Set();
  history.set(key, values.add(canonical(value)));
}

function keyOf({ kind, answer }: Acknowledged): string {
  if (kind === "deployed") return keys.deployment(answer, answer.id);
  return kind === "scaled" ? keys.scale(answer) : keys.stack(answer);
}

/** A deployment goes with its stack or as one of too many. */
function checkForgotten(
  { key, previous }: Written,
  acknowledged: ReadonlyMap<string, StackScope>,
  { cluster: { facts } }: Scene,
  speak: Speak,
): void {
  const scope = acknowledged.get(key);
  if (scope === undefined || previous === undefined) return;
  const stack = facts.stack.get(keys.stack(scope));
  if (stack === undefined || stack.deleting !== undefined) return;
  const left = [...facts.deployment.values()].filter((each) => stackKey(each) === stackKey(scope));
  if (left.length < DEFAULT_SETTINGS.deploymentsKept) speak(`the accepted ${key} was forgotten`);
}

/** A number set by hand holds until the file's number changes. */
function checkScales(
  stack: string,
  scales: ReadonlyMap<string, number>,
  { cluster: { facts } }: Scene,
  speak: Speak,
): void {
  for (const [service, copies] of scales) {
    const row = [...facts.scale.values()].find(
      (scale) => scale.stack === stack && scale.service === service,
    );
    // Without a row the file's number holds: it changed with a deployment.
    if (row === undefined || row.value === copies) continue;
    speak(`${stack}/${service} was set to ${copies} copies; ${row.value} are kept`);
  }
}

/** Objects with sorted keys: the same content is the same text. */
function canonical(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) =>
    typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );
}
