/** The node must have the devices that are asked for, with enough of each left. */

import { chooseDevices, suits } from "../devices.ts";
import { type Check, type Filter, type Finding, verb } from "../filter.ts";
import type { NodeState } from "../node-state.ts";
import type { Unit } from "../plan.ts";
import { formatMostFree, formatQuantity } from "../quantity.ts";
import { type DeviceNeed, WHOLE_MILLIS } from "../resources.ts";

export const devices: Filter = {
  rule: "devices",
  prepare: ({ needs }) => {
    const each = needs.devices.map(
      (need): Check =>
        (node) =>
          lack(node, need),
    );
    if (each.length < 2) return each;
    // Each request alone may find its devices and both together not.
    const scarce = { about: `${name(needs.devices)} together` };
    const all: Check = (node) =>
      chooseDevices(node.devices, needs.devices) === undefined ? scarce : undefined;
    return [...each, all];
  },
  describe: ({ count, about, need, bestAvailable, unit }) => {
    if (need === undefined) return `${verb(count, "has", "have")} no device ${about}`;
    const best = formatMostFree(bestAvailable, unit);
    return `${verb(count, "lacks", "lack")} ${about} (need ${amount(need, unit)}, ${best})`;
  },
  remedy: ({ about, node, missing, unit }) =>
    missing === undefined
      ? `${node} had device ${about}`
      : `${node} had ${formatQuantity(missing, unit)} ${about} more`,
};

/** What the node is short of for one request alone. */
function lack(node: NodeState, need: DeviceNeed): Finding | undefined {
  const suitable = node.devices.filter((device) => suits(device, need));
  const about = name([need]);
  if (suitable.length < need.count) {
    if (suitable.length === 0 || need.count === 1) return { about };
    return short(about, need.count, suitable.length, "count");
  }
  const able = suitable.filter((device) => device.freeMillis >= need.shareMillis);
  if (able.length >= need.count) return undefined;
  if (need.count > 1) return short(about, need.count, able.length, "count");
  const most = Math.max(...suitable.map((device) => device.freeMillis));
  return short(about, need.shareMillis, most, "millis");
}

function short(about: string, need: number, free: number, unit: Unit): Finding {
  return { about, need, available: Math.max(0, free), missing: need - free, unit };
}

/** `gpu`, or `gpu (a100 or h100)` where the model matters. */
function name(needs: readonly DeviceNeed[]): string {
  const names = needs.map(({ kind, models }) =>
    models.length === 0 ? kind : `${kind} (${[...models].sort().join(" or ")})`,
  );
  return names.join(" and ");
}

function amount(need: number, unit: Finding["unit"]): string {
  if (unit === "millis" && need === WHOLE_MILLIS) return "1 whole";
  return formatQuantity(need, unit);
}
