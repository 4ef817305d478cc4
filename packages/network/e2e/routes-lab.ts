/** A `net` whose routes a test sets, for tests of routes. */

import type { HttpRouteModel, NodeNetworkModel } from "../src/model.ts";
import type { NetProblem } from "../src/report.ts";
import { endpoint, loopbackModel, type NetUnderTest, netUnderTest, SERVICE } from "./lab.ts";

export const TARGET = { ...SERVICE, networkId: "n1", port: 8080 };

export function route(id: string, wish: Partial<HttpRouteModel> = {}): HttpRouteModel {
  return { id, hosts: ["shop.test"], pathPrefix: "/", target: TARGET, ...wish };
}

export interface RoutesLab {
  readonly net: NetUnderTest;
  /** Follows routes, with one ready copy unless told otherwise; returns the ingress's problems. */
  readonly apply: (
    httpRoutes: readonly HttpRouteModel[],
    change?: Partial<NodeNetworkModel>,
    ingress?: Partial<NodeNetworkModel["ingress"]>,
  ) => Promise<readonly NetProblem[]>;
  /** Reloads of HAProxy since `net` began. */
  readonly reloads: () => Promise<number>;
}

export function routesLab(): RoutesLab {
  const net = netUnderTest();
  let generation = 0;
  return {
    net,
    async apply(httpRoutes, change = {}, ingress = {}) {
      const base = loopbackModel(++generation, { endpoints: [endpoint(1)], ...change });
      const report = await net.client.apply({
        ...base,
        ingress: { ...base.ingress, httpRoutes, ...ingress },
      });
      return report.ingress.problems;
    },
    async reloads() {
      const text = await net.client.metrics();
      return Number(/^berth_net_ingress_reloads_total (\d+)$/m.exec(text)?.[1]);
    },
  };
}
