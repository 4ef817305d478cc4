/** A deploy plan in words: what would be done, to what, where and why. */

import type { DeployPlan, ServicePlan, StackScope } from "@berth/protocol";

/** `parameters` are lines about the parameters of the file. */
export function planLines(
  scope: StackScope,
  plan: DeployPlan,
  parameters: readonly string[] = [],
): string[] {
  const current = plan.current === undefined ? "" : ` (now ${plan.current})`;
  return [
    `${scope.stack} → ${scope.project}/${scope.environment}   would make release ${plan.release}${current}`,
    ...plan.warnings.map((warning) => `  warning ${warning}`),
    ...parameters,
    ...plan.services.flatMap(serviceLines),
    ...plan.networks.create.map((name) => `  network ${name}   would be made`),
    ...plan.networks.remove.map((name) => `  network ${name}   would be removed`),
    ...plan.volumes.create.map((name) => `  volume ${name}   would be made`),
    ...plan.volumes.keep.map((name) => `  volume ${name}   is kept`),
    "nothing was changed. Run without --plan to deploy.",
  ];
}

function serviceLines(service: ServicePlan): string[] {
  const head = `  ${service.service}   ${actionText(service)}`;
  const note = service.note === undefined ? [] : [`      ${service.note}`];
  const changes = service.changes.map(({ field, change, from, to }) => {
    const values = from === undefined && to === undefined ? "" : `   ${from ?? ""} → ${to ?? ""}`;
    return `      ${field} ${change}${values}`;
  });
  const places = service.placements.map(({ slot, node, fromNode, reasons, refusal }) => {
    const move =
      fromNode === undefined ? (node ?? "nowhere") : `${fromNode} → ${node ?? "nowhere"}`;
    const why = refusal ?? reasons.join("; ");
    return `      ${service.service}-${slot}  ${move}${why === "" ? "" : `   ${why}`}`;
  });
  return [head, ...note, ...changes, ...places];
}

function actionText(service: ServicePlan): string {
  const { action, copies, copiesNow, order } = service;
  switch (action) {
    case "none":
      return "no change";
    case "create":
      return `create ${copies}`;
    case "replace":
      return `replace ${copies}, ${order}`;
    case "scale":
      return `scale ${copiesNow} → ${copies}`;
    case "remove":
      return `remove ${copiesNow}`;
  }
}
