/** What a service wishes about the choice of its nodes beyond Compose's own words: weights, devices in part. */

import type { DeviceWish, ServiceSpec } from "@berth/protocol";
import type { ComposeProject } from "../model/project-model.ts";
import type { ComposeService } from "../model/service-model.ts";
import type { ProblemList } from "./compile-problem.ts";

/** Thousandths of a device that is shared with nobody. */
const WHOLE_MILLIS = 1_000;

/** The service's own, word by word, before those of the stack. */
export function compileWeights(
  service: ComposeService,
  project: Pick<ComposeProject, "xBerth">,
): ServiceSpec["weights"] {
  const weights = { ...project.xBerth?.weights, ...service.xBerth?.weights };
  return Object.keys(weights).length === 0 ? undefined : weights;
}

/** `x-berth.devices`, with every default made explicit. */
export function compileDevices(
  name: string,
  service: ComposeService,
  problems: ProblemList,
): ServiceSpec["devices"] {
  const wishes = service.xBerth?.devices ?? [];
  if (wishes.length === 0) return undefined;
  return wishes.map(({ kind, count = 1, shareMillis = WHOLE_MILLIS, models = [] }, index) => {
    if (shareMillis < 1 || shareMillis > WHOLE_MILLIS) {
      const path = ["services", name, "x-berth", "devices", index, "share"];
      const share = shareMillis / WHOLE_MILLIS;
      problems.error(path, `${share} of a device: a share is at least 0.001 and at most 1`);
    }
    return { kind, count, shareMillis, models: [...models] } satisfies DeviceWish;
  });
}
