/** Routes: what releases wish, how the nodes serve it, and the lines of their access logs. */

import {
  type DialRequest,
  type EnvironmentScope,
  errorOfProblem,
  type FrameStream,
  jsonOfFrame,
  keys,
  type NodeRoute,
  ProtocolError,
  type RouteSpec,
  type RouteStanding,
  routeText,
  type ServiceSpec,
  type Stack,
  tcpRouteText,
} from "@berth/protocol";
import { type ClusterView, environmentOf } from "../../state/cluster-tables.ts";
import type { ApiContext, Handler } from "../handler.ts";
import { LOG_NODES_MAX } from "../log-stream.ts";
import { booleanOf, integerOf } from "../paging.ts";

/** A node that takes longer has other worries; the others' answers are worth having. */
const ANSWER_TIMEOUT_MS = 3_000;

export const listRoutes: Handler<"listRoutes"> = async ({ params, query, signal }, context) => {
  const { view } = context.state;
  const stacks = view.stacks
    .by("environment", environmentOf(params))
    .map(({ value }) => value)
    .filter(({ stack }) => query.stack === undefined || stack === query.stack);
  const nodes = nodesUp(view);
  const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]);
  const answers = await Promise.allSettled(
    nodes.map((node) => askNode(context, node, params, limit)),
  );
  const missing = answers.flatMap((answer, index) =>
    answer.status === "fulfilled"
      ? []
      : [{ node: nodes[index] ?? "", message: reasonOf(answer.reason) }],
  );
  const told = answers.flatMap((answer, index) =>
    answer.status === "fulfilled"
      ? answer.value.map((each) => ({ ...each, node: nodes[index] ?? "" }))
      : [],
  );
  const routes = stacks.flatMap((stack) => wishedRoutes(view, stack, context));
  return { routes: routes.map((route) => standingOf(route, told)), missing };
};

type Wished = Pick<RouteStanding, "stack" | "service" | "route" | "port" | "url">;

/** What the release that a stack is at says. */
function wishedRoutes(view: ClusterView, stack: Stack, context: ApiContext): Wished[] {
  const release = view.releases.get(keys.release(stack, stack.release))?.value;
  return Object.entries(release?.services ?? {}).flatMap(([service, { spec }]) =>
    routesOfSpec(spec, context).map((route) => ({ stack: stack.stack, service, ...route })),
  );
}

function routesOfSpec(
  { routes, tcpRoutes = [], ports }: ServiceSpec,
  { settings }: ApiContext,
): Pick<Wished, "route" | "port" | "url">[] {
  return [
    ...routes.map((route) => {
      const url = urlOf(route, settings);
      return { route: routeText(route), port: route.port, ...(url === undefined ? {} : { url }) };
    }),
    ...tcpRoutes.map((route) => ({ route: tcpRouteText(route), port: route.port })),
    ...ports.flatMap(({ protocol, published, target }) =>
      protocol === "tcp" && published !== undefined
        ? [{ route: `:${published}`, port: target }]
        : [],
    ),
  ];
}

function urlOf(
  { host, path, pathExact, tls = "off" }: RouteSpec,
  settings: ApiContext["settings"],
): string | undefined {
  if (host.includes("*")) return undefined;
  const [scheme, usual, actual] =
    tls === "off"
      ? (["http", 80, settings.ingressHttpPort] as const)
      : (["https", 443, settings.ingressHttpsPort] as const);
  return `${scheme}://${host}${actual === usual ? "" : `:${actual}`}${pathExact ?? path}`;
}

function standingOf(
  wished: Wished,
  told: readonly (NodeRoute & { readonly node: string })[],
): RouteStanding {
  const { stack, service, route } = wished;
  const serving = told.filter(
    (each) => each.stack === stack && each.service === service && each.route === route,
  );
  const problems = [...new Set(serving.flatMap((each) => each.problems))];
  const ready = serving.reduce((sum, each) => sum + each.ready, 0);
  const traffic = serving.flatMap((each) => (each.traffic === undefined ? [] : [each.traffic]));
  const state =
    serving.length === 0
      ? "waiting"
      : problems.length > 0
        ? "degraded"
        : ready === 0
          ? "empty"
          : "serving";
  return {
    ...wished,
    state,
    nodes: serving.map(({ node }) => node),
    ready,
    problems,
    ...(traffic.length === 0 ? {} : { traffic: traffic.reduce(sum) }),
  };
}

type Traffic = NonNullable<NodeRoute["traffic"]>;

function sum(a: Traffic, b: Traffic): Traffic {
  const requests = a.requests + b.requests;
  const mean = (a.answerMsMean * a.requests + b.answerMsMean * b.requests) / Math.max(1, requests);
  return {
    requests,
    statuses: a.statuses.map((count, index) => count + (b.statuses[index] ?? 0)),
    bytesIn: a.bytesIn + b.bytesIn,
    bytesOut: a.bytesOut + b.bytesOut,
    sessions: a.sessions + b.sessions,
    answerMsMean: mean,
  };
}

async function askNode(
  context: ApiContext,
  node: string,
  { project, environment }: EnvironmentScope,
  signal: AbortSignal,
): Promise<readonly NodeRoute[]> {
  const stream = await context.sessions.open(
    node,
    { kind: "routes", project, environment },
    signal,
  );
  try {
    for await (const frame of stream.frames()) {
      // The agent is ours and made it from its schema.
      if (frame.kind === "data") return jsonOfFrame(frame) as readonly NodeRoute[];
      if (frame.kind === "error") throw errorOfProblem(jsonOfFrame(frame)) ?? lost(node);
    }
    throw lost(node);
  } finally {
    stream.close();
  }
}

export const readAccessLog: Handler<"readAccessLog"> = async (
  { params, query, signal },
  context,
) => {
  const { project, environment } = params;
  if (query.service !== undefined && query.stack === undefined) {
    throw new ProtocolError("invalid_request", "a service is named together with its stack");
  }
  const scope = `${project}/${environment}/`;
  const stack = query.stack === undefined ? "" : `${query.stack}/${query.service ?? ""}`;
  const tail = integerOf("tail", query.tail);
  const request: DialRequest["request"] = {
    kind: "access-log",
    service: `${scope}${stack}`,
    follow: booleanOf("follow", query.follow),
    ...(tail === undefined ? {} : { tail }),
  };
  const nodes = nodesUp(context.state.view);
  const opened = await Promise.allSettled(
    nodes.map((node) => context.sessions.open(node, request, signal)),
  );
  const streams = opened.flatMap((each) => (each.status === "fulfilled" ? [each.value] : []));
  const failed = opened.find((each) => each.status === "rejected");
  if (streams.length === 0 && failed !== undefined) throw failed.reason;
  return together(streams);
};

/** Lines as they come, of all nodes: each stands for itself and has its time. */
async function* together(
  streams: readonly FrameStream[],
): AsyncGenerator<readonly Uint8Array[], void, undefined> {
  const waiting = new Map(
    streams.map((stream) => {
      const frames = stream.frames()[Symbol.asyncIterator]();
      return [stream, { frames, next: frames.next().then((result) => ({ stream, result })) }];
    }),
  );
  try {
    while (waiting.size > 0) {
      const { stream, result } = await Promise.race([...waiting.values()].map(({ next }) => next));
      const frame = result.done === true ? undefined : result.value;
      const source = waiting.get(stream);
      if (source === undefined || frame === undefined || frame.kind !== "data") {
        waiting.delete(stream);
        continue;
      }
      source.next = source.frames.next().then((following) => ({ stream, result: following }));
      yield [frame.payload, LINE_END];
    }
  } finally {
    for (const stream of streams) stream.close();
  }
}

const LINE_END = Buffer.from("\n");

function nodesUp(view: ClusterView): string[] {
  const up = view.nodes.all().filter(({ value }) => value.contact === "up");
  return up.map(({ value }) => value.name).slice(0, LOG_NODES_MAX);
}

function lost(node: string): ProtocolError {
  return new ProtocolError("node_unreachable", `node ${node} did not answer`, { node });
}

function reasonOf(reason: unknown): string {
  if (reason instanceof ProtocolError) return reason.message;
  return "it did not answer in time";
}
