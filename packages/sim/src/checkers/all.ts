/** All checkers, fresh for a run. The table in docs/design/simulation.md says what each watches. */

import { acknowledgedChecker } from "./acknowledged.ts";
import { addressesChecker } from "./addresses.ts";
import { attachmentsChecker } from "./attachments.ts";
import type { Checker } from "./checker.ts";
import { convergesChecker } from "./converges.ts";
import { endpointsChecker } from "./endpoints.ts";
import { exclusiveChecker } from "./exclusive.ts";
import { flappingChecker } from "./flapping.ts";
import { forwardChecker } from "./forward.ts";
import { growthChecker } from "./growth.ts";
import { healthyChecker } from "./healthy.ts";
import { leavingChecker } from "./leaving.ts";
import { ownCodeChecker } from "./own-code.ts";
import { patienceChecker } from "./patience.ts";
import { reachChecker } from "./reach.ts";
import { removedChecker } from "./removed.ts";
import { roomChecker } from "./room.ts";
import { slotsChecker } from "./slots.ts";

export function allCheckers(): readonly Checker[] {
  return [
    slotsChecker(),
    exclusiveChecker(),
    roomChecker(),
    addressesChecker(),
    reachChecker(),
    healthyChecker(),
    endpointsChecker(),
    attachmentsChecker(),
    leavingChecker(),
    removedChecker(),
    acknowledgedChecker(),
    forwardChecker(),
    patienceChecker(),
    flappingChecker(),
    growthChecker(),
    convergesChecker(),
    ownCodeChecker(),
  ];
}
