/** What there is to know about a stack: how it stands, what a deploy would do, why it is as it is. */

import { ProtocolError } from "@berth/protocol";
import type { Handler } from "../handler.ts";

function notYet(): never {
  throw new ProtocolError("not_implemented", "this server cannot tell yet");
}

export const getStack: Handler<"getStack"> = notYet;
export const listStacks: Handler<"listStacks"> = notYet;
export const planStack: Handler<"planStack"> = notYet;
export const explainService: Handler<"explainService"> = notYet;
