/** Starts as asks of the scheduler: what a copy needs of its node. */

import type {
  PinnedImage,
  Release,
  ReleaseService,
  ServiceScope,
  ServiceSpec,
  StackScope,
} from "@berth/protocol";
import { keys, serviceKey } from "@berth/protocol";
import {
  type Ask,
  type Constraint,
  type Platform,
  parseConstraint,
  type Toleration,
  type VolumeUse,
} from "@berth/scheduler";
import type { ServiceInput, Start } from "../reconcile/service-input.ts";
import type { ControlPlaneSettings } from "../settings.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import { hostPorts } from "./cluster-model.ts";
import { countablesOf, deviceKinds } from "./countables.ts";
import { OWN_TAINTS } from "./node-model.ts";
import { placingWishes } from "./placing-wishes.ts";

/** A start with the identifier that its task will have. */
export interface WantedStart {
  readonly id: string;
  readonly service: string;
  readonly start: Start;
  readonly input: ServiceInput;
  /** Starts of one pod have the same key and get the same node. */
  readonly podKey: string | undefined;
}

export interface AskContext {
  readonly view: ClusterView;
  readonly release: Release;
  readonly settings: Pick<ControlPlaneSettings, "defaultRequests">;
}

/** Which copy of what. */
export interface CopyToPlace {
  readonly id: string;
  readonly scope: ServiceScope;
  readonly slot: number;
  readonly target: ReleaseService;
}

/** What bears on the choice of a node beside the copy's own needs. */
export interface PlaceWishes {
  readonly previousNode: string | undefined;
  readonly failedNodes: readonly string[];
  /** Only this node will do. */
  readonly node: string | undefined;
  readonly podKey: string | undefined;
}

/** What the copy needs. */
export function askOf(copy: CopyToPlace, wishes: PlaceWishes, context: AskContext): Ask {
  const { id, scope, slot, target } = copy;
  const { spec, image } = target;
  const constraints = constraintsOf(spec);
  const volumes = volumeUses(spec, slot, scope, context);
  const ports = hostPorts(spec.networkMode, spec.ports);
  const platforms = platformsOf(spec);
  const { previousNode, failedNodes, node, podKey } = wishes;
  const tolerations = tolerationsOf(spec, node);
  return {
    id,
    service: serviceKey(scope),
    slot,
    requests: {
      ...requestsOf(spec, context.settings.defaultRequests),
      ...countablesOf(spec, deviceKinds(context.view)),
    },
    priority: spec.priority,
    ...placingWishes(context.view, scope.project, spec),
    ...(ports.length === 0 ? {} : { ports }),
    ...(volumes.length === 0 ? {} : { volumes }),
    ...(podKey === undefined ? {} : { pod: podKey }),
    ...(constraints.length === 0 ? {} : { constraints }),
    ...(spec.spreadOver.length === 0
      ? {}
      : { spread: spec.spreadOver.map((level) => ({ level, required: false })) }),
    ...(spec.maxPerNode === undefined ? {} : { maxPerNode: spec.maxPerNode }),
    ...(node === undefined ? {} : { pinnedNode: node }),
    ...(platforms.length === 0 ? {} : { platforms }),
    ...(tolerations.length === 0 ? {} : { tolerations }),
    ...(previousNode === undefined ? {} : { previousNode }),
    ...(failedNodes.length === 0 ? {} : { failedNodes }),
    ...imagesOf(image),
  };
}

/** The ask of a start. */
export function askOfStart(wanted: WantedStart, context: AskContext): Ask | undefined {
  const { id, input, start, podKey } = wanted;
  if (input.target === undefined) return undefined;
  const { place, previousNode, failedNodes } = start;
  const copy = { id, scope: input.scope, slot: place.slot, target: input.target };
  return askOf(copy, { previousNode, failedNodes, node: place.node, podKey }, context);
}

/** A copy that can be on this node only is not kept away by a cordon. */
function tolerationsOf(spec: ServiceSpec, pinnedNode: string | undefined): readonly Toleration[] {
  const stated = spec.tolerations ?? [];
  return pinnedNode === undefined ? stated : [...stated, ...OWN_TAINTS];
}

/** What is kept free for a copy: as stated, else its limit, else the default. */
export function requestsOf(
  spec: ServiceSpec,
  defaults: ControlPlaneSettings["defaultRequests"],
): { readonly cpuMillis: number; readonly memoryBytes: number } {
  const { requests, limits } = spec;
  const cpuLimit = limits.cpuMillis ?? defaults.cpuMillis;
  return {
    // A limit of processor time says little about need: it is a ceiling, so the default stands below it.
    cpuMillis: requests.cpuMillis ?? Math.min(defaults.cpuMillis, cpuLimit),
    memoryBytes: requests.memoryBytes ?? limits.memoryBytes ?? defaults.memoryBytes,
  };
}

function constraintsOf(spec: ServiceSpec): Constraint[] {
  return spec.constraints.flatMap((text) => {
    const parsed = parseConstraint(text);
    return parsed.kind === "constraint" ? [parsed.constraint] : [];
  });
}

function platformsOf(spec: ServiceSpec): Platform[] {
  const [os, architecture] = (spec.engine.platform ?? "").split("/");
  return os === undefined || architecture === undefined ? [] : [{ os, architecture }];
}

function imagesOf(image: PinnedImage): Pick<Ask, "images"> {
  const digest = image.imageId ?? image.repoDigest;
  if (digest === undefined || image.sizeBytes === undefined) return {};
  return { images: [{ digest, bytes: image.sizeBytes }] };
}

/** Where the data of a copy lies already. Volumes without a home bind nothing yet. */
function volumeUses(
  spec: ServiceSpec,
  slot: number,
  scope: StackScope,
  { view, release }: AskContext,
): VolumeUse[] {
  return volumeNames(spec).flatMap((name) => {
    const perCopy = release.volumes[name]?.perCopy ?? false;
    const key = perCopy ? keys.volume(scope, name, slot) : keys.volume(scope, name);
    const volume = view.volumes.get(key)?.value;
    if (volume?.node === undefined) return [];
    return [{ key: volume.engineName, node: volume.node, mode: "shared" as const }];
  });
}

/** Volumes of the stack that the service mounts, each once, sorted. */
export function volumeNames(spec: ServiceSpec): string[] {
  const names = spec.mounts.flatMap((mount) => (mount.kind === "volume" ? [mount.volume] : []));
  return [...new Set(names)].sort();
}
