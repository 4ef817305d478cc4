/** Routes about servers, and those by which servers serve each other: part of the one table in routes.ts. */

import { Type } from "typebox";
import { FormatStanding, ServerView } from "../resources/server-address.ts";
import { BLOB_BYTES_MAX, type RouteDescription } from "./route.ts";

export const serverRoutes = {
  listServers: {
    method: "GET",
    path: "/v1/servers",
    summary: "The servers of the cluster, where they are reached, and which of them leads.",
    access: "user",
    answer: {
      kind: "json",
      schema: Type.Object({
        servers: Type.Array(ServerView),
        /** Absent from servers before protocol 3. */
        formats: Type.Optional(FormatStanding),
      }),
    },
    errors: [],
  },
  removeServer: {
    method: "DELETE",
    path: "/v1/servers/{node}",
    summary: "Forgets a server that was stopped, with its tokens and its machine as a node.",
    access: "admin",
    query: Type.Object({ force: Type.Optional(Type.String()) }),
    answer: { kind: "json", schema: Type.Object({ node: Type.String() }) },
    errors: ["not_found", "still_in_use", "conflict"],
  },
  relaySession: {
    method: "GET",
    path: "/v1/servers/sessions/{node}",
    summary:
      "A stream to a node whose agent is connected to this server and not to the asking one.",
    access: "server",
    /** A `DialRequest`'s request as JSON. */
    query: Type.Object({ request: Type.String() }),
    answer: { kind: "upgrade" },
    errors: ["node_unreachable", "too_many_requests"],
  },
  getServerBlob: {
    method: "GET",
    path: "/v1/servers/blobs/{digest}",
    summary: "The bytes of a blob that lies on this very server.",
    access: "server",
    answer: { kind: "bytes" },
    errors: ["not_found"],
  },
  putServerBlob: {
    method: "PUT",
    path: "/v1/servers/blobs/{digest}",
    summary: "Stores bytes that lie on another server on this one as well.",
    access: "server",
    bodyBytes: true,
    bodyBytesMax: BLOB_BYTES_MAX,
    answer: { kind: "empty" },
    errors: ["body_too_large", "storage_full"],
    unaudited: true,
  },
  listServerBlobs: {
    method: "GET",
    path: "/v1/servers/blobs",
    summary: "The digests of all blobs that lie on this very server.",
    access: "server",
    answer: { kind: "stream", schema: Type.Object({ digest: Type.String() }) },
    errors: [],
  },
} as const satisfies Readonly<Record<string, RouteDescription>>;
