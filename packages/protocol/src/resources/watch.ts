/**
 * The watch stream: newline-delimited JSON, one multiplexed stream per client.
 *
 * A stream without a position begins with a `put` for each selected object, then `synced`; from there on
 * changes follow without a gap. `synced` and `bookmark` carry the position from which a broken stream can
 * be taken up; a position of an old epoch or a compacted revision is answered with 410.
 *
 * Four kinds are made by the server from several objects: `assignment`, `service`, `attachment` and `peer`.
 * A stream that is taken up lists them anew; `listed` says where that list ends, so that a client can drop
 * what went away meanwhile.
 */

import { Type } from "typebox";
import type { Of } from "../schema.ts";
import { NetworkCheckTarget } from "./network-check.ts";
import { Operation } from "./node.ts";

/**
 * Kinds that can be watched. Made for a node's agent, and selected by `node`: `assignment`, a task joined
 * with its spec; `service`, a declared service on a network that the node carries (`DeclaredService`);
 * `attachment`, a task of another node on such a network (`NetworkNeighbor`); `peer`, a node that such a
 * network reaches, the node itself included (`NetworkPeer`).
 */
export const WATCH_KINDS = [
  "stack",
  "scale",
  "deployment",
  "task",
  "status",
  "network",
  "volume",
  "node",
  "node-status",
  "operation",
  "event",
  "certificate",
  "assignment",
  "service",
  "attachment",
  "peer",
  "server-address",
] as const;
export type WatchKind = (typeof WATCH_KINDS)[number];

/** Every condition must hold; absent ones hold always. */
export const WatchSelector = Type.Object(
  {
    kind: Type.Enum([...WATCH_KINDS]),
    project: Type.Optional(Type.String()),
    environment: Type.Optional(Type.String()),
    stack: Type.Optional(Type.String()),
    node: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);
export type WatchSelector = Of<typeof WatchSelector>;

export const WATCH_SELECTORS_MAX = 32;

export const WatchRequest = Type.Object(
  {
    selectors: Type.Array(WatchSelector, { minItems: 1, maxItems: WATCH_SELECTORS_MAX }),
    /** `epoch:revision` from an earlier stream. */
    position: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);
export type WatchRequest = Of<typeof WatchRequest>;

/** A stream that the agent shall open to the server: exec or logs for somebody. */
export const DialRequest = Type.Object({
  session: Type.String(),
  request: Type.Union([
    Type.Object({
      kind: Type.Literal("exec"),
      task: Type.String(),
      command: Type.Array(Type.String(), { minItems: 1 }),
      tty: Type.Boolean(),
      stdin: Type.Boolean(),
      user: Type.Optional(Type.String()),
      workingDir: Type.Optional(Type.String()),
      environment: Type.Record(Type.String(), Type.String()),
      columns: Type.Optional(Type.Integer()),
      rows: Type.Optional(Type.Integer()),
    }),
    Type.Object({
      kind: Type.Literal("logs"),
      project: Type.String(),
      environment: Type.String(),
      stack: Type.String(),
      service: Type.Optional(Type.String()),
      task: Type.Optional(Type.String()),
      release: Type.Optional(Type.Integer()),
      follow: Type.Boolean(),
      /** Last lines per task; all when absent. */
      tail: Type.Optional(Type.Integer({ minimum: 0 })),
      /** Wall time in milliseconds. */
      since: Type.Optional(Type.Number()),
      until: Type.Optional(Type.Number()),
    }),
    Type.Object({ kind: Type.Literal("stats"), tasks: Type.Array(Type.String()) }),
    /** Answered with one frame, the node's routes of the environment (\`NodeRoute\`), and the end. */
    Type.Object({
      kind: Type.Literal("routes"),
      project: Type.String(),
      environment: Type.String(),
    }),
    /** An image as an archive (`docker save`), for another node. */
    Type.Object({ kind: Type.Literal("image"), imageId: Type.String() }),
    /** Answered with one frame, what was tried in order (\`NetworkCheckStep\`), and the end. */
    Type.Object({ kind: Type.Literal("network-check"), target: NetworkCheckTarget }),
    /** Makes a volume from the archive that comes as \`data\` frames; answers \`{bytes, digest}\` as one. */
    Type.Object({
      kind: Type.Literal("restore-volume"),
      engineName: Type.String(),
      driver: Type.Optional(Type.String()),
      driverOptions: Type.Record(Type.String(), Type.String()),
      labels: Type.Record(Type.String(), Type.String()),
    }),
    /** The content of a volume as an archive with its checksum behind it (\`sealedArchive\`). */
    Type.Object({
      kind: Type.Literal("volume"),
      engineName: Type.String(),
      /** Also while somebody writes to it. */
      live: Type.Boolean(),
    }),
    /** Lines of the access log, a frame each. */
    Type.Object({
      kind: Type.Literal("access-log"),
      /** Beginning of the service's full name: \`default/main/shop/\`, \`default/main/shop/web\`. */
      service: Type.String(),
      follow: Type.Boolean(),
      /** Last lines; all that are kept when absent. */
      tail: Type.Optional(Type.Integer({ minimum: 0, maximum: 100_000 })),
    }),
  ]),
});
export type DialRequest = Of<typeof DialRequest>;

export const WatchEvent = Type.Union([
  Type.Object({
    type: Type.Literal("put"),
    kind: Type.Enum([...WATCH_KINDS]),
    /** Store key; the identity of the object within its kind. */
    key: Type.String(),
    revision: Type.Number(),
    value: Type.Unknown(),
  }),
  Type.Object({
    type: Type.Literal("delete"),
    kind: Type.Enum([...WATCH_KINDS]),
    key: Type.String(),
    revision: Type.Number(),
  }),
  /** Everything that exists was sent; what follows is change. */
  Type.Object({ type: Type.Literal("synced"), position: Type.String() }),
  /** Up to here everything was sent. */
  Type.Object({ type: Type.Literal("bookmark"), position: Type.String() }),
  /** The stream lives; sent when nothing else was for 10 s. */
  Type.Object({ type: Type.Literal("heartbeat") }),
  /**
   * Of these kinds everything that exists was sent since the stream began: what is known besides is gone.
   * Only in streams that were taken up at a position, where `synced` does not come.
   */
  Type.Object({ type: Type.Literal("listed"), kinds: Type.Array(Type.Enum([...WATCH_KINDS])) }),
  /** The client was too slow or the position is gone: list again. The stream ends. */
  Type.Object({ type: Type.Literal("resync"), reason: Type.String() }),
  /** Agents only. */
  Type.Object({ type: Type.Literal("dial"), dial: DialRequest }),
]);
export type WatchEvent = Of<typeof WatchEvent>;

/** What an agent reports about one of its operations. */
export const OperationReport = Type.Pick(Operation, [
  "state",
  "progress",
  "images",
  "received",
  "error",
]);
export type OperationReport = Of<typeof OperationReport>;

/** One line of a log. */
export const LogLine = Type.Object({
  at: Type.Number(),
  task: Type.String(),
  /** `web-1` */
  name: Type.String(),
  node: Type.String(),
  release: Type.Integer(),
  attempt: Type.Integer(),
  stream: Type.Union([Type.Literal("stdout"), Type.Literal("stderr")]),
  /** Without the line break. Bytes that are no UTF-8 are replaced. */
  text: Type.String(),
});
export type LogLine = Of<typeof LogLine>;
