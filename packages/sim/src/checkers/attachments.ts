/**
 * Attachments reach every member before they are needed. When a container starts, its node's data plane was told
 * its addresses; no node sends to an address whose attachment it does not have; in the end every node that carries
 * a network has the attachments of all its live tasks.
 *
 * Looks at what the data plane was told since the host's boot. Speaks at the start of a container, when a model is
 * told, and at the end.
 */

import { LABEL_TASK } from "@berth/agent/runtime/port";
import { isFinal, type Task } from "@berth/protocol";
import type { Checker, Scene } from "./checker.ts";

export function attachmentsChecker(): Checker {
  return {
    name: "attachments",
    onContainer({ machine, container, kind }, { cluster }, speak) {
      const { network, labels } = container.request;
      if (kind !== "started" || network.kind !== "networks") return;
      const net = cluster.machines.find(({ name }) => name === machine)?.net;
      const told = new Set(net?.told.at(-1)?.model.attachments.map(placeOf));
      for (const attachment of network.attachments) {
        if (told.has(placeOf(attachment))) continue;
        const task = labels[LABEL_TASK];
        speak(`${task} started on ${machine} before its ${placeOf(attachment)} was told there`);
      }
    },
    onModel({ machine, model }, _scene, speak) {
      const attached = new Set(model.attachments.map(placeOf));
      for (const endpoint of model.endpoints) {
        // What is left of a pod whose main has ended has no network any more, and gets nothing new.
        if (endpoint.state !== "ready" || attached.has(placeOf(endpoint))) continue;
        speak(`${machine.name} sends to ${placeOf(endpoint)} without its attachment`);
      }
    },
    pending: incompleteAttachments,
  };
}

/** A node that carries a network and does not know all that is attached to it. */
function incompleteAttachments({ cluster }: Scene): string | undefined {
  const { facts } = cluster;
  const live = [...facts.task.values()].filter((task: Task) => {
    const state = facts.statusOf(task.id)?.state;
    return state !== undefined && state !== "assigned" && !isFinal(state);
  });
  for (const { name, net } of cluster.machines) {
    const model = net.told.at(-1)?.model;
    if (model === undefined) continue;
    const carried = new Set(model.networks.map(({ id }) => id));
    const known = new Set(model.attachments.map(placeOf));
    for (const { id, attachments } of live) {
      const missing = attachments.find(
        (each) => carried.has(each.networkId) && !known.has(placeOf(each)),
      );
      if (missing !== undefined) return `${name} does not know ${placeOf(missing)} of ${id}`;
    }
  }
  return undefined;
}

function placeOf(at: { readonly address: string; readonly networkId: string }): string {
  return `${at.address} of ${at.networkId}`;
}
