/** What a node's agent calls for its own node: part of the one table in routes.ts. */

import { Type } from "typebox";
import { FloatingPart } from "../resources/ingress.ts";
import { NodeStatus, Operation, RegistryAuth } from "../resources/node.ts";
import { TaskStatus } from "../resources/task.ts";
import { OperationReport } from "../resources/watch.ts";
import type { RouteDescription } from "./route.ts";

const text = Type.Optional(Type.String());

export const agentRoutes = {
  reportNode: {
    method: "PUT",
    path: "/v1/nodes/{node}/status",
    summary: "An agent's report of its host; joins the node at first. Renews the lease.",
    access: "node",
    body: Type.Object({ cluster: Type.Optional(Type.String()), status: NodeStatus }),
    answer: {
      kind: "json",
      schema: Type.Object({
        cluster: Type.String(),
        leaseMs: Type.Number(),
        /** Newest protocol of the server; one that says none speaks the first. */
        protocol: Type.Optional(Type.Integer()),
      }),
    },
    errors: ["foreign_cluster", "version_too_old", "conflict"],
    unaudited: true,
  },
  renewLease: {
    method: "POST",
    path: "/v1/nodes/{node}/lease",
    summary: "The agent is alive.",
    access: "node",
    answer: {
      kind: "json",
      schema: Type.Object({
        leaseMs: Type.Number(),
        /** The node's parts in floating addresses. Absent: none. */
        floating: Type.Optional(Type.Array(FloatingPart)),
      }),
    },
    errors: ["not_found", "version_too_old"],
    unaudited: true,
  },
  reportTasks: {
    method: "POST",
    path: "/v1/nodes/{node}/tasks",
    summary: "Statuses of tasks of this node. The answer names tasks that are to be stopped.",
    access: "node",
    body: Type.Object({ statuses: Type.Array(TaskStatus, { maxItems: 500 }) }),
    answer: {
      kind: "json",
      schema: Type.Object({
        /** Tasks that are unknown or have a verdict: stop them. */
        stop: Type.Array(Type.String()),
        /** As with a renewal of the lease, which this is as well. */
        floating: Type.Optional(Type.Array(FloatingPart)),
      }),
    },
    errors: [],
    unaudited: true,
  },
  reportOperation: {
    method: "PUT",
    path: "/v1/nodes/{node}/operations/{operation}",
    summary: "Progress or result of an operation.",
    access: "node",
    body: OperationReport,
    answer: { kind: "json", schema: Operation },
    errors: ["not_found"],
    unaudited: true,
  },
  /** Secrets of a task, for its node only. */
  getTaskSecrets: {
    method: "GET",
    path: "/v1/nodes/{node}/tasks/{task}/secrets",
    summary: "Contents of a task's secrets, base64.",
    access: "node",
    answer: { kind: "json", schema: Type.Record(Type.String(), Type.String()) },
    errors: ["not_found"],
    unaudited: true,
  },
  /** For the engine of a node that has work of the project. */
  getRegistryAuths: {
    method: "GET",
    path: "/v1/nodes/{node}/registry-auths",
    summary: "The logins that a project's images are pulled with: of one registry, or of all.",
    access: "node",
    query: Type.Object({ project: Type.String(), server: text }),
    answer: { kind: "json", schema: Type.Object({ auths: Type.Array(RegistryAuth) }) },
    errors: ["not_found"],
    unaudited: true,
  },
  getNodeBlob: {
    method: "GET",
    path: "/v1/nodes/{node}/blobs/{digest}",
    summary: "A blob that a task or operation of the node refers to.",
    access: "node",
    answer: { kind: "bytes" },
    errors: ["not_found"],
    unaudited: true,
  },
  /** For an image that no registry gives. */
  findImage: {
    method: "GET",
    path: "/v1/nodes/{node}/image-source",
    summary: "Whether another node has an image that a task or operation of this node needs.",
    access: "node",
    query: Type.Object({ image: Type.String({ maxLength: 1_024 }) }),
    answer: {
      kind: "json",
      schema: Type.Object({
        imageId: Type.String(),
        /** Absent when nobody has told. */
        sizeBytes: Type.Optional(Type.Integer({ minimum: 0 })),
        nodes: Type.Array(Type.String()),
      }),
    },
    errors: ["not_found"],
    unaudited: true,
  },
  getNodeImage: {
    method: "GET",
    path: "/v1/nodes/{node}/images/{digest}",
    summary: "The archive of an image that this node needs, from another node that has it.",
    access: "node",
    answer: { kind: "bytes" },
    errors: ["not_found", "node_unreachable", "too_many_requests"],
    unaudited: true,
  },
  getVolumeContent: {
    method: "GET",
    path: "/v1/nodes/{node}/operations/{operation}/volume",
    summary: "The archive of the volume that an operation of this node receives.",
    access: "node",
    answer: { kind: "bytes" },
    errors: ["not_found", "node_unreachable", "too_many_requests", "still_in_use"],
    unaudited: true,
  },
  /** The agent's end of an exec or log stream. */
  openSession: {
    method: "GET",
    path: "/v1/nodes/{node}/sessions/{session}",
    summary: "The stream that a dial request asked for.",
    access: "node",
    answer: { kind: "upgrade" },
    errors: ["not_found"],
    unaudited: true,
  },
} as const satisfies Readonly<Record<string, RouteDescription>>;
