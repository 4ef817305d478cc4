/**
 * Never two users of what only one may use: two running containers with one exclusive volume, or with one
 * address of one network, on whatever hosts; and never two processes of one task, which would be two users
 * of all that it has.
 *
 * Looks at processes on the hosts, not at what anybody believes. Speaks when the second one starts.
 */

import type { FakeContainer } from "@berth/agent/runtime/fake-container";
import { LABEL_TASK } from "@berth/agent/runtime/port";
import type { Checker, Scene } from "./checker.ts";

export function exclusiveChecker(): Checker {
  return {
    name: "exclusive",
    onContainer({ machine, container, kind }, scene, speak) {
      if (kind !== "started") return;
      const own = resourcesOf(container, scene);
      for (const { other, host } of othersRunning(container, scene)) {
        const theirs = new Set(resourcesOf(other, scene));
        for (const resource of own) {
          if (!theirs.has(resource)) continue;
          const names = `${other.request.name} on ${host} and ${container.request.name} on ${machine}`;
          speak(`${resource} is used by ${names}`);
        }
      }
    },
    atEnd({ cluster }, speak) {
      for (const { name, host } of cluster.machines) {
        for (const [first, second] of host.overlappingWriters()) {
          speak(
            `${name}: ${first.task} and ${second.task} wrote to ${first.engineName} at one time`,
          );
        }
      }
    },
  };
}

function* othersRunning(container: FakeContainer, { cluster }: Scene) {
  for (const { name, host } of cluster.machines) {
    for (const other of host.containers.values()) {
      if (other.running && other !== container) yield { other, host: name };
    }
  }
}

/** What the container uses that nobody else may. */
function resourcesOf({ request }: FakeContainer, { cluster }: Scene): string[] {
  const volumes = request.mounts.flatMap((mount) => {
    if (mount.kind !== "volume" || mount.readOnly) return [];
    const shared = [...cluster.facts.volume.values()].some(
      ({ engineName, mode }) => engineName === mount.engineName && mode === "shared",
    );
    return shared ? [] : [`volume ${mount.engineName}`];
  });
  const { network, labels } = request;
  const addresses =
    network.kind === "networks"
      ? network.attachments.map(({ networkId, address }) => `address ${address} of ${networkId}`)
      : [];
  return [`the place of task ${labels[LABEL_TASK]}`, ...volumes, ...addresses];
}
