/**
 * The API's description as an OpenAPI 3.1 document, made from the same table and schemas that validate
 * requests and give the TypeScript types: it cannot say anything else than what the server does.
 *
 * Schemas that resources export become components under their names; all others are written in place.
 * Cost: once per process, O(size of the schemas).
 */

import type { TSchema } from "typebox";
import { parameterSchemas } from "./api/parameters.ts";
import type { Answer, RouteDescription } from "./api/route.ts";
import { BODY_BYTES_MAX } from "./api/route.ts";
import * as routeTable from "./api/routes.ts";
import { ERRORS, type ErrorCode, PROBLEM_MEDIA_TYPE } from "./errors.ts";
import * as ingressResources from "./resources/ingress.ts";
import * as networkResources from "./resources/network.ts";
import * as nodeResources from "./resources/node.ts";
import * as planResources from "./resources/plan.ts";
import * as probeResources from "./resources/probe.ts";
import * as recordResources from "./resources/record.ts";
import * as releaseResources from "./resources/release.ts";
import * as serviceResources from "./resources/service-spec.ts";
import * as stackResources from "./resources/stack.ts";
import * as stackSpecResources from "./resources/stack-spec.ts";
import * as taskResources from "./resources/task.ts";
import * as watchResources from "./resources/watch.ts";

type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };
type JsonObject = { readonly [key: string]: Json };

export interface OpenApiDocument {
  readonly openapi: "3.1.0";
  readonly info: JsonObject;
  readonly paths: Readonly<Record<string, Readonly<Record<string, JsonObject>>>>;
  readonly components: JsonObject;
  readonly security: Json;
}

/** Errors that any route may answer. */
const COMMON_ERRORS: readonly ErrorCode[] = ["invalid_request", "internal", "unavailable"];
const AUTHENTICATED_ERRORS: readonly ErrorCode[] = [
  "unauthenticated",
  "forbidden",
  "too_many_requests",
];
const WRITE_ERRORS: readonly ErrorCode[] = ["idempotency_mismatch", "precondition_failed"];

/** The whole description, for a server of `version`. */
export function openApiDocument(version: string): OpenApiDocument {
  const names = schemaNames();
  const paths: Record<string, Record<string, JsonObject>> = {};
  for (const [id, route] of Object.entries<RouteDescription>(routeTable.routes)) {
    const operations = paths[route.path] ?? {};
    operations[route.method.toLowerCase()] = operation(id, route, names);
    paths[route.path] = operations;
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Berth",
      version,
      description: "Machines and Compose files in, healthy services out. One API for everybody.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    paths,
    components: {
      schemas: { Problem: problemSchema(), ...components(names) },
      securitySchemes: { token: { type: "http", scheme: "bearer" } },
    },
    security: [{ token: [] }],
  };
}

/** The part of a schema that survives `Type.Optional`, which copies only the outermost object. */
type Identity = object;

function identityOf(schema: object): Identity {
  if ("properties" in schema && typeof schema.properties === "object") {
    return schema.properties ?? schema;
  }
  if ("anyOf" in schema && typeof schema.anyOf === "object") return schema.anyOf ?? schema;
  return schema;
}

interface NamedSchemas {
  readonly byIdentity: ReadonlyMap<Identity, string>;
  readonly byName: ReadonlyMap<string, TSchema>;
}

/** Names of the schemas that modules of resources export. */
function schemaNames(): NamedSchemas {
  const byIdentity = new Map<Identity, string>();
  const byName = new Map<string, TSchema>();
  const modules: readonly object[] = [
    probeResources,
    serviceResources,
    stackSpecResources,
    releaseResources,
    stackResources,
    taskResources,
    nodeResources,
    networkResources,
    ingressResources,
    planResources,
    recordResources,
    watchResources,
    routeTable,
  ];
  for (const [name, value] of modules.flatMap((module) => Object.entries(module))) {
    if (!isSchema(value) || byIdentity.has(identityOf(value))) continue;
    // Only what has parts is worth a name of its own.
    if (identityOf(value) === value) continue;
    byIdentity.set(identityOf(value), name);
    byName.set(name, value);
  }
  return { byIdentity, byName };
}

function isSchema(value: unknown): value is TSchema {
  return typeof value === "object" && value !== null && "~kind" in value;
}

function components(names: NamedSchemas): Record<string, Json> {
  const schemas: Record<string, Json> = {};
  for (const [name, schema] of names.byName) schemas[name] = inline(schema, names);
  return schemas;
}

/** `schema` as JSON, a reference where it has a name. */
function rendered(schema: unknown, names: NamedSchemas): Json {
  if (typeof schema === "object" && schema !== null) {
    const name = names.byIdentity.get(identityOf(schema));
    if (name !== undefined && !Array.isArray(schema))
      return { $ref: `#/components/schemas/${name}` };
  }
  return inline(schema, names);
}

function inline(schema: unknown, names: NamedSchemas): Json {
  if (Array.isArray(schema)) return schema.map((item) => rendered(item, names));
  if (typeof schema !== "object" || schema === null) return asJson(schema);
  // `properties` is a map of schemas: it is never itself replaced by a reference.
  const entries = Object.entries(schema).map(([key, value]): [string, Json] => {
    if (key !== "properties") return [key, rendered(value, names)];
    return [key, mapValues(value as object, (property) => rendered(property, names))];
  });
  return Object.fromEntries(entries);
}

function mapValues(from: object, change: (value: unknown) => Json): JsonObject {
  return Object.fromEntries(Object.entries(from).map(([key, value]) => [key, change(value)]));
}

function asJson(value: unknown): Json {
  if (typeof value === "string" || typeof value === "number" || typeof value === "boolean") {
    return value;
  }
  return null;
}

function operation(id: string, route: RouteDescription, names: NamedSchemas): JsonObject {
  const body = requestBody(route, names);
  return {
    operationId: id,
    summary: route.summary,
    tags: [tagOf(route.path)],
    "x-berth-access": route.access,
    ...(route.access === "public" ? { security: [] } : {}),
    parameters: [...pathParameters(route), ...queryParameters(route), ...headerParameters(route)],
    ...(body === undefined ? {} : { requestBody: body }),
    responses: { ...success(route.answer, names), ...failures(route) },
  };
}

/** The first word of the path that names a thing. */
function tagOf(path: string): string {
  if (path.startsWith("/v1/projects/")) return path.includes("/stacks") ? "stacks" : "environments";
  return (
    path.split("/").find((part) => part !== "" && part !== "v1" && !part.startsWith("{")) ?? ""
  );
}

function pathParameters(route: RouteDescription): JsonObject[] {
  return [...route.path.matchAll(/\{(\w+)\}/g)].map(([, name = ""]) => ({
    name,
    in: "path",
    required: true,
    schema: inline(parameterSchemas[name], { byIdentity: new Map(), byName: new Map() }),
  }));
}

function queryParameters(route: RouteDescription): JsonObject[] {
  if (route.query === undefined || !("properties" in route.query)) return [];
  const properties = route.query.properties as Readonly<Record<string, TSchema>>;
  const required = "required" in route.query ? (route.query.required as readonly string[]) : [];
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    in: "query",
    required: required.includes(name),
    schema: inline(schema, { byIdentity: new Map(), byName: new Map() }),
  }));
}

function headerParameters(route: RouteDescription): JsonObject[] {
  if (route.access === "public") return [];
  if (route.method === "GET") {
    const description = "The answer shows at least this revision of the store.";
    return [header("Berth-Min-Revision", description, { type: "integer", minimum: 0 })];
  }
  return [
    header("Idempotency-Key", "The same key makes a repeated write the same write.", {
      type: "string",
      minLength: 1,
      maxLength: 200,
    }),
    header("If-Match", 'The write happens only at this revision of the object, `"1234"`.', {
      type: "string",
    }),
  ];
}

function header(name: string, description: string, schema: Json): JsonObject {
  return { name, in: "header", required: false, description, schema };
}

function requestBody(route: RouteDescription, names: NamedSchemas): JsonObject | undefined {
  const limit = `At most ${route.bodyBytesMax ?? BODY_BYTES_MAX} bytes.`;
  if (route.bodyBytes === true) {
    const content = { "application/octet-stream": {} };
    return { required: true, description: limit, content };
  }
  if (route.body === undefined) return undefined;
  const content = { "application/json": { schema: rendered(route.body, names) } };
  return { required: true, description: limit, content };
}

function success(answer: Answer, names: NamedSchemas): Record<string, Json> {
  switch (answer.kind) {
    case "json":
      return { "200": content("Done.", "application/json", rendered(answer.schema, names)) };
    case "stream": {
      const schema = rendered(answer.schema, names);
      return { "200": content("One JSON value a line.", "application/x-ndjson", schema) };
    }
    case "text":
      return { "200": content("Text.", answer.mediaType, { type: "string" }) };
    case "bytes":
      return { "200": { description: "Bytes.", content: { "application/octet-stream": {} } } };
    case "empty":
      return { "204": { description: "Done." } };
    case "upgrade":
      return { "101": { description: "The connection speaks berth-stream/1 from here on." } };
  }
}

function content(description: string, mediaType: string, schema: Json): JsonObject {
  return { description, content: { [mediaType]: { schema } } };
}

/** One response a status, whose description lists the codes. */
function failures(route: RouteDescription): Record<string, Json> {
  const codes = new Set<ErrorCode>([
    ...COMMON_ERRORS,
    ...(route.access === "public" ? [] : AUTHENTICATED_ERRORS),
    ...(route.method === "GET" ? [] : WRITE_ERRORS),
    ...(route.body === undefined ? [] : (["body_too_large"] as const)),
    ...route.errors,
  ]);
  const byStatus = Map.groupBy(codes, (code) => ERRORS[code].status);
  const sorted = [...byStatus].sort(([a], [b]) => a - b);
  return Object.fromEntries(
    sorted.map(([status, group]): [string, Json] => {
      const lines = group.map((code) => `\`${code}\`: ${ERRORS[code].title}`);
      const schema = { $ref: "#/components/schemas/Problem" };
      return [String(status), content(lines.join("\n"), PROBLEM_MEDIA_TYPE, schema)];
    }),
  );
}

function problemSchema(): JsonObject {
  const text = { type: "string" };
  return {
    type: "object",
    description: "An error (RFC 9457).",
    required: ["type", "code", "title", "status", "detail", "advice", "retryable", "details"],
    properties: {
      type: { ...text, description: "`urn:berth:error:CODE`" },
      code: { ...text, enum: Object.keys(ERRORS) },
      title: { ...text, description: "The code's meaning." },
      status: { type: "integer" },
      detail: { ...text, description: "This occurrence, in one sentence." },
      advice: { ...text, description: "What the reader can do." },
      retryable: { type: "boolean", description: "The same request can succeed later." },
      instance: { ...text, description: "Identifies the occurrence in the server's log." },
      details: { type: "object", description: "Limits, values and names that go with the code." },
    },
  };
}
