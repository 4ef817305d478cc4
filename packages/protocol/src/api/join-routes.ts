/** Routes of joining and leaving the cluster: part of the one table in routes.ts. */

import { Type } from "typebox";
import {
  Invitation,
  JoinCheck,
  JoinCheckAnswer,
  JoinRequest,
  JoinWish,
  MemberCertificate,
  RenewRequest,
  ServerJoinRequest,
  ServerWelcome,
} from "../resources/member.ts";
import { FencedNode, Node } from "../resources/node.ts";
import type { RouteDescription } from "./route.ts";

export const joinRoutes = {
  joinScript: {
    method: "GET",
    path: "/join.sh",
    summary: "A script that sets a host up and joins it. No secret is in it.",
    access: "public",
    answer: { kind: "text", mediaType: "text/x-shellscript; charset=utf-8" },
    errors: ["unavailable"],
  },
  getSoftware: {
    method: "GET",
    path: "/v1/join/software/{digest}",
    summary: "A file of Berth, or of Node, as the server itself runs it.",
    access: "join",
    answer: { kind: "bytes" },
    errors: ["not_found", "join_refused", "unavailable"],
  },
  createJoinToken: {
    method: "POST",
    path: "/v1/join-tokens",
    summary: "A token for one host to join by. Opens the cluster's port at the first call.",
    access: "admin",
    body: JoinWish,
    answer: { kind: "json", schema: Invitation },
    errors: [
      "limit_exceeded",
      "idempotency_mismatch",
      "format_held_back",
      "conflict",
      "unavailable",
    ],
  },
  checkJoin: {
    method: "POST",
    path: "/v1/join/check",
    summary: "Whether a host could join. Uses nothing up.",
    access: "join",
    body: JoinCheck,
    answer: { kind: "json", schema: JoinCheckAnswer },
    errors: ["join_refused", "clock_skew", "already_exists", "unavailable"],
    unaudited: true,
  },
  joinNode: {
    method: "POST",
    path: "/v1/join",
    summary: "Makes a host a member: uses the token up, answers the host's certificate.",
    access: "join",
    body: JoinRequest,
    answer: { kind: "json", schema: MemberCertificate },
    errors: ["join_refused", "clock_skew", "already_exists", "invalid_certificate", "conflict"],
  },
  joinServer: {
    method: "POST",
    path: "/v1/join/server",
    summary: "Makes a host a further server: uses the token up, answers the key of the secrets.",
    access: "join",
    body: ServerJoinRequest,
    answer: { kind: "json", schema: ServerWelcome },
    errors: ["join_refused", "clock_skew", "already_exists", "conflict", "unavailable"],
  },
  renewNodeCertificate: {
    method: "POST",
    path: "/v1/nodes/{node}/certificate",
    summary: "A new certificate for a member, also by one that has expired.",
    access: "node",
    body: RenewRequest,
    answer: { kind: "json", schema: MemberCertificate },
    errors: ["node_removed", "invalid_certificate", "conflict"],
  },
  confirmNodeFenced: {
    method: "POST",
    path: "/v1/nodes/{node}/fenced",
    summary:
      "A person's word that nothing of a silent or removed node runs any more: copies that only one may run of are started elsewhere.",
    access: "admin",
    answer: { kind: "json", schema: FencedNode },
    errors: ["not_found", "conflict"],
  },
  removeNode: {
    method: "DELETE",
    path: "/v1/nodes/{node}",
    summary: "Ends a node's membership: its certificate is worth nothing from now on.",
    access: "admin",
    query: Type.Object({ force: Type.Optional(Type.String()) }),
    answer: { kind: "json", schema: Node },
    errors: ["not_found", "still_in_use", "conflict"],
  },
} as const satisfies Readonly<Record<string, RouteDescription>>;
