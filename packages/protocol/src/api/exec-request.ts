/** What `request` of the exec route says, as JSON in the query. */

import { Type } from "typebox";
import type { Of } from "../schema.ts";

export const ExecRequest = Type.Object(
  {
    /** May be said: it is what the route is. */
    kind: Type.Optional(Type.Literal("exec")),
    /** May be said: the task of the path, which counts. */
    task: Type.Optional(Type.String()),
    /** argv; no shell unless the argv names one. */
    command: Type.Array(Type.String(), { minItems: 1, maxItems: 1_000 }),
    /** A terminal: stdout and stderr are one, and `resize` frames are understood. */
    tty: Type.Boolean(),
    /** The caller will send `stdin` frames and an `end`. */
    stdin: Type.Boolean(),
    user: Type.Optional(Type.String()),
    workingDir: Type.Optional(Type.String()),
    environment: Type.Optional(Type.Record(Type.String(), Type.String())),
    /** First size of the terminal. */
    columns: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
    rows: Type.Optional(Type.Integer({ minimum: 1, maximum: 10_000 })),
  },
  { additionalProperties: false },
);
export type ExecRequest = Of<typeof ExecRequest>;
