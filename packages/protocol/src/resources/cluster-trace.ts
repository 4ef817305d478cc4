/** The cluster as a trace: what `berth sim --from-cluster` reads. Made by the server at each question. */

import { Type } from "typebox";
import type { Of } from "../schema.ts";

/** One object of a trace; docs/reference/sim.md has its fields. */
const TraceRow = Type.Record(Type.String(), Type.Unknown());

/** One line: nodes first, then what runs on them. */
export const ClusterTraceLine = Type.Union([
  Type.Object({
    kind: Type.Literal("node"),
    /** A row of `--nodes`. What runs once on each node counts as reserved there. */
    row: TraceRow,
  }),
  Type.Object({
    kind: Type.Literal("task"),
    /** A row of `--asks`; its id is `project/environment/stack/service-slot`. */
    row: TraceRow,
    /** Where it runs. */
    node: Type.String(),
  }),
]);
export type ClusterTraceLine = Of<typeof ClusterTraceLine>;
