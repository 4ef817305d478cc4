/** Countable resources (`generic_resources`, graphics processors) as the scheduler takes them. */

import type { ServiceSpec } from "@berth/protocol";
import type { Requests } from "@berth/scheduler";

/** What one copy takes of them. */
export function countablesOf({ countables }: ServiceSpec): Pick<Requests, "resources"> {
  return countables === undefined ? {} : { resources: countables };
}
