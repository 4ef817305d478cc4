/**
 * How much of a node's free devices the next usual ask could not use, and how much an ask would add to it: the
 * measure of Weng et al., "Beware of Fragmentation: Scheduling GPU-Sharing Workloads with Fragmentation
 * Gradient Descent", USENIX ATC'23, section 3.
 */

import type { DeviceAssignment } from "../model.ts";
import type { DenseCluster } from "./cluster.ts";
import type { Mix } from "./mix.ts";
import type { Shape } from "./shape.ts";

interface Usual {
  readonly dims: readonly number[];
  readonly amounts: readonly number[];
  readonly kind: number;
  readonly count: number;
  readonly shareMillis: number;
  /** By model: 1 where it will do. */
  readonly models: Uint8Array;
  readonly share: number;
}

export class Fragmentation {
  readonly #cluster: DenseCluster;
  readonly #usual: readonly Usual[];
  /** By node, with the version for which it was computed. */
  readonly #lost: Float64Array;
  readonly #version: Int32Array;

  constructor(cluster: DenseCluster, mix: Mix) {
    this.#cluster = cluster;
    const { devices, resources } = cluster;
    this.#usual = mix.usual.flatMap(({ resources: needs, device, share }) => {
      const kind = device === undefined ? undefined : devices.kinds.known(device.kind);
      if (device === undefined || kind === undefined) return [];
      const any = device.models.length === 0;
      const models = Uint8Array.from({ length: devices.models.size }, (_, model) =>
        any || device.models.includes(devices.models.nameOf(model)) ? 1 : 0,
      );
      const dims = needs.map(({ name }) => resources.idOf(name));
      const amounts = needs.map(({ amount }) => amount);
      return [
        {
          dims,
          amounts,
          kind,
          count: device.count,
          shareMillis: device.shareMillis,
          models,
          share,
        },
      ];
    });
    this.#lost = new Float64Array(cluster.size);
    this.#version = new Int32Array(cluster.size).fill(-1);
  }

  /** Thousandths of devices that become useless, weighted by how usual the asks are; may be negative. */
  added(shape: Shape, node: number, assignments: readonly DeviceAssignment[]): number {
    const { devices } = this.#cluster;
    if (devices.start[node] === devices.start[node + 1]) return 0;
    const before = this.#lostNow(node);
    devices.book(node, assignments, 1);
    this.#take(shape, node, 1);
    const after = this.#lostAt(node);
    this.#take(shape, node, -1);
    devices.book(node, assignments, -1);
    return after - before;
  }

  #lostNow(node: number): number {
    const version = this.#cluster.changes.versions[node] ?? 0;
    if (this.#version[node] !== version) {
      this.#lost[node] = this.#lostAt(node);
      this.#version[node] = version;
    }
    return this.#lost[node] ?? 0;
  }

  #take({ dims, amounts }: Shape, node: number, sign: 1 | -1): void {
    const { free, width } = this.#cluster;
    for (let at = 0; at < dims.length; at++) {
      const index = node * width + (dims[at] ?? 0);
      free[index] = (free[index] ?? 0) - sign * (amounts[at] ?? 0);
    }
  }

  #lostAt(node: number): number {
    let lost = 0;
    let kind = -1;
    let all = 0;
    for (const usual of this.#usual) {
      // Mostly there is one kind.
      if (usual.kind !== kind) {
        kind = usual.kind;
        all = this.#cluster.devices.sums(node, kind).free;
      }
      lost += usual.share * (all - (all === 0 ? 0 : this.#usefulFor(usual, node)));
    }
    return lost;
  }

  /** Free thousandths that the ask could use; none where it does not fit. */
  #usefulFor({ dims, amounts, kind, count, shareMillis, models }: Usual, node: number): number {
    const { devices, free, width } = this.#cluster;
    for (let at = 0; at < dims.length; at++) {
      if ((free[node * width + (dims[at] ?? 0)] ?? 0) < (amounts[at] ?? 0)) return 0;
    }
    const end = devices.start[node + 1] ?? 0;
    let useful = 0;
    let able = 0;
    for (let at = devices.start[node] ?? 0; at < end; at++) {
      const millis = devices.free[at] ?? 0;
      if (millis < shareMillis || devices.kindOf[at] !== kind) continue;
      if (models[devices.modelOf[at] ?? 0] === 0) continue;
      able++;
      useful += millis;
    }
    return able >= count ? useful : 0;
  }
}
