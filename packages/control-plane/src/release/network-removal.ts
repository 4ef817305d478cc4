/**
 * Removing a network because a person said so, while its stack goes on declaring it: the next copy makes it anew,
 * with the range that the file states by then. (A network that nobody declares goes by itself.)
 *
 * In two steps, since a plan that was made a moment ago may be putting a copy onto it: first the network's row
 * says that it is being removed, which makes such a plan fail and keeps later ones away; then, when nobody came
 * in between, it goes with its claims. A removal that was cut off in between is ended by the stack's tidying.
 */

import { keys, type Network, type StackScope, stackKey, taskName } from "@berth/protocol";
import { overlayClaimOf } from "../addresses/overlay-ids.ts";
import { Unit } from "../plan/unit.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { encode } from "../state/decode.ts";
import type { Entity } from "../state/entity-table.ts";
import { accept, type Decision, refuse, unchangedSince } from "./refusal.ts";

export interface NetworkRemoval {
  readonly scope: StackScope;
  /** Key in the stack's file. */
  readonly name: string;
}

/** From here on nobody gets onto the network. Refused while somebody is. */
export function beginNetworkRemoval(
  view: ClusterView,
  { scope, name }: NetworkRemoval,
): Decision<Network> {
  const found = view.networks.get(keys.network(scope, name));
  if (found === undefined) {
    const networks = view.networks.by("stack", stackKey(scope)).map(({ value }) => value.name);
    return refuse("not_found", `stack ${stackKey(scope)} has no network ${name}`, { networks });
  }
  const refusal = whyUsed(view, found.value);
  if (refusal !== undefined) return refusal;
  const marked: Network = { ...found.value, removing: true };
  return accept(
    found.value,
    [unchangedSince(found.key, found.revision)],
    [{ kind: "put", key: found.key, value: encode(marked) }],
  );
}

/** Whether `network`, which was marked, is gone; `used`: a copy was faster, and the network is as it was. */
export function endNetworkRemoval(view: ClusterView, network: Network): Decision<"gone" | "used"> {
  const found = view.networks.get(keys.network(network, network.name));
  // The stack's tidying was faster; what has another identifier was made since.
  if (found?.value.id !== network.id) return accept("gone", [], []);
  if (found.value.removing !== true) return accept("used", [], []);
  const { outcome, unit } = stepOfRemoval(view, found);
  return accept(outcome, [...unit.compare.values()], [...unit.operations.values()]);
}

/** What ends the removal of a network that is marked: it goes, or the mark does because somebody is on it. */
export function stepOfRemoval(
  view: ClusterView,
  { key, revision, value }: Entity<Network>,
): { readonly outcome: "gone" | "used"; readonly unit: Unit } {
  const unit = new Unit();
  unit.expect(key, revision);
  if (view.claims.by("network", value.id).length > 0) {
    const { removing: _mark, ...network } = value;
    unit.put(key, encode(network));
    return { outcome: "used", unit };
  }
  unit.delete(key);
  unit.delete(keys.claim({ kind: "subnet", subnet: value.subnet }));
  for (const address of serviceAddressKeys(view, value)) unit.delete(address);
  const overlay = overlayClaimOf(view, value.id);
  if (overlay !== undefined) unit.delete(overlay.key);
  return { outcome: "gone", unit };
}

function serviceAddressKeys(view: ClusterView, { id }: Network): string[] {
  return view.claims
    .by("kind", "service-address")
    .filter(({ value }) => value.network === id)
    .map(({ key }) => key);
}

/** A copy has its address until its end is confirmed; then the address rests for a while. */
function whyUsed(view: ClusterView, network: Network) {
  const claims = view.claims.by("network", network.id);
  if (claims.length === 0) return undefined;
  const what = `network ${network.stack}/${network.name}`;
  const held = claims.filter(({ value }) => value.freeAt === undefined);
  if (held.length === 0) {
    const freeAt = Math.max(...claims.map(({ value }) => value.freeAt ?? 0));
    const until = new Date(freeAt).toISOString();
    const message = `addresses of ${what} rest until ${until}: who had them may still be asked`;
    return refuse("still_in_use", message, { freeAt });
  }
  const users = new Set<string>();
  for (const { value } of held) {
    if (value.node !== undefined) users.add(`node ${value.node}`);
    for (const id of value.tasks ?? []) {
      const [task] = view.tasks.by("id", id);
      users.add(task === undefined ? id : `${task.value.stack}/${taskName(task.value)}`);
    }
  }
  const names = [...users].sort();
  return refuse("still_in_use", `${what} is used by ${names.join(", ")}`, { users: names });
}
