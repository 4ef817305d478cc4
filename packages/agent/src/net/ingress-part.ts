/** What this node does for requests from outside: whose routes it answers, and its parts in floating addresses. */

import type { FloatingPart } from "@berth/protocol";
import type { AgentState } from "../state/agent-state.ts";
import type { NetLink } from "./net-link.ts";
import type { NodeCertificates } from "./node-certificates.ts";
import type { NodeNetworks } from "./node-networks.ts";
import { ingressNetworks } from "./overlay-model.ts";

export interface IngressPartOptions {
  readonly state: AgentState;
  readonly node: string;
  readonly networks: Pick<NodeNetworks, "routed">;
  readonly certificates: Pick<NodeCertificates, "wake">;
  readonly net: Pick<NetLink, "changed">;
}

export class IngressPart {
  readonly #options: IngressPartOptions;
  #answers = false;

  constructor(options: IngressPartOptions) {
    this.#options = options;
  }

  /** Services or nodes are others than before; most nodes answer nothing for others, and need nothing. */
  follow(): void {
    const { state, node, networks, certificates } = this.#options;
    const before = this.#answers;
    this.#answers = ingressNetworks(state.peers.values(), node).size > 0;
    if (!before && !this.#answers) return;
    networks.routed();
    certificates.wake();
  }

  /** The server's word; kept for a start without it. */
  async take(floating: readonly FloatingPart[]): Promise<void> {
    const { state, net } = this.#options;
    if (JSON.stringify(floating) === JSON.stringify(state.server.floating ?? [])) return;
    const written = state.putServer({ ...state.server, floating });
    net.changed();
    await written;
  }
}
