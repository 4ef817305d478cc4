/**
 * How this node's routes stand, for who asks through the server: copies, problems, figures of HAProxy, and the
 * lines of its access log.
 */

import type { Clock } from "@berth/base";
import { type ApplyReport, describeProblem, serviceKey } from "@berth/network";
import { readAccessLog } from "@berth/network/ingress/access-log-file";
import type { DialRequest, NodeRoute } from "@berth/protocol";
import type { ToldTask } from "../state/agent-state.ts";
import type { TaskRecord } from "../task/record.ts";
import type { NetPort } from "./net-port.ts";
import { type RoutedService, routeNames } from "./node-routes.ts";

type RequestOf<Kind extends DialRequest["request"]["kind"]> = Extract<
  DialRequest["request"],
  { readonly kind: Kind }
>;

export interface RouteReader {
  list(request: RequestOf<"routes">, signal: AbortSignal): Promise<NodeRoute[]>;
  /** Lines as they are in the log. */
  log(request: RequestOf<"access-log">, signal: AbortSignal): AsyncIterable<string>;
}

export interface RouteReaderSource {
  readonly net: NetPort;
  readonly clock: Clock;
  readonly told: ReadonlyMap<string, ToldTask>;
  readonly records: ReadonlyMap<string, TaskRecord>;
  readonly httpsPort: number | undefined;
}

export function routeReader({
  net,
  clock,
  told,
  records,
  httpsPort,
}: RouteReaderSource): RouteReader {
  return {
    async list({ project, environment }, signal) {
      const status = await net.status(signal);
      const figures = new Map((await net.routes?.(signal))?.map((each) => [each.routeId, each]));
      return servicesOf(told, { project, environment }).flatMap((service) =>
        routeNames(service, httpsPort).map(({ text, id }): NodeRoute => {
          const traffic = figures.get(id);
          return {
            stack: service.name.stack,
            service: service.name.service,
            route: text,
            ready: readyCopies(service, told, records),
            problems: problemsOf(status, id),
            ...(traffic === undefined
              ? {}
              : { traffic: { ...traffic, statuses: [...traffic.statuses] } }),
          };
        }),
      );
    },
    async *log({ service, follow, tail }, signal) {
      const { accessLogPath } = await net.status(signal);
      if (accessLogPath === undefined) return;
      const request = { service, follow, ...(tail === undefined ? {} : { tail }) };
      yield* readAccessLog(accessLogPath, request, { clock, signal });
    },
  };
}

/** One of each service of the environment, of its newest release. */
function servicesOf(
  told: ReadonlyMap<string, ToldTask>,
  scope: { readonly project: string; readonly environment: string },
): RoutedService[] {
  const newest = new Map<string, { readonly release: number; readonly service: RoutedService }>();
  for (const { assignment } of told.values()) {
    const { project, environment, stack, service, release, attachments } = assignment.task;
    const networkId = attachments[0]?.networkId;
    if (project !== scope.project || environment !== scope.environment) continue;
    if (networkId === undefined) continue;
    const name = { project, environment, stack, service };
    const key = serviceKey(name);
    if ((newest.get(key)?.release ?? -1) >= release) continue;
    const routed = { name, networkId, spec: assignment.spec, users: () => undefined };
    newest.set(key, { release, service: routed });
  }
  return [...newest.values()].map(({ service }) => service);
}

function readyCopies(
  { name }: RoutedService,
  told: ReadonlyMap<string, ToldTask>,
  records: ReadonlyMap<string, TaskRecord>,
): number {
  const key = serviceKey(name);
  const own = [...told.values()].filter(({ assignment }) => serviceKey(assignment.task) === key);
  return own.filter(({ assignment }) => {
    const record = records.get(assignment.task.id);
    return record?.state === "running" && record.ready;
  }).length;
}

/** A part that has failed concerns every route. */
function problemsOf({ ingress }: Pick<ApplyReport, "ingress">, id: string): string[] {
  return ingress.problems
    .filter((problem) => !("id" in problem) || problem.id === id)
    .map(describeProblem);
}
