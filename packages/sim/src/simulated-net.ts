/** The data plane of a simulated node: follows every model at once; what it follows, checkers read. */

import type { NetPort } from "@berth/agent/net/net-port";
import type { ApplyReport, NodeNetworkModel, PartReport } from "@berth/network";
import type { Life } from "./life.ts";

export class SimulatedNet {
  /** What names, ingress and firewall follow. Outlives the agent, not the host. */
  model: NodeNetworkModel | undefined;

  /** The port as one life of the agent has it. */
  portFor(life: Life): NetPort {
    return {
      apply: (model) =>
        life.only(async () => {
          this.model = model;
          return this.#report();
        }),
      status: () =>
        life.only(async () => ({
          ...this.#report(),
          pid: 1,
          startedAt: 0,
          boundPorts: [],
          loops: [],
        })),
      sessions: () => life.only(async () => ({ sessions: 0, queued: 0 })),
    };
  }

  #report(): ApplyReport {
    const generation = this.model?.generation ?? 0;
    const part: PartReport = { state: "ok", generation, problems: [] };
    return { generation, dns: part, ingress: part, firewall: part };
  }
}
