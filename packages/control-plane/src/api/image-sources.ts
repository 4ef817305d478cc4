/**
 * Which nodes can give an image to a node that needs it. A pure function of the view.
 *
 * Only what a task or an open operation of the node runs may be asked for. An image of which only a registry's
 * digest is known is found by what nodes say it is; where they disagree, nobody is believed.
 * Cost: O(tasks of the node + nodes). Design page: docs/design/images.md
 */

import {
  isFinal,
  keys,
  type LocalImage,
  type NodeStatus,
  type PinnedImage,
  ProtocolError,
} from "@berth/protocol";
import type { ClusterView } from "../state/cluster-tables.ts";
import { statusOf } from "../state/status-of.ts";
import { assignmentOf } from "./assignment.ts";

export interface ImageSource {
  readonly imageId: string;
  readonly sizeBytes?: number;
  /** Nodes in contact that have it, or had it a moment ago; those that say so first. */
  readonly nodes: readonly string[];
}

/** Where `node` can get what it calls `image`: an identifier, or `name@digest`. */
export function imageSource(view: ClusterView, node: string, image: string): ImageSource {
  const needed = neededImages(view, node).find(
    ({ imageId, repoDigest }) => image === imageId || image === repoDigest,
  );
  if (needed === undefined) {
    throw new ProtocolError("not_found", `nothing on node ${node} needs image ${image}`, { image });
  }
  return sourceOf(view, node, needed);
}

/** The source of an image by its identifier, for a node that needs it by whatever name. */
export function sourceById(view: ClusterView, node: string, imageId: string): ImageSource {
  for (const image of neededImages(view, node)) {
    if (image.imageId !== undefined && image.imageId !== imageId) continue;
    const source = trySource(view, node, image);
    if (source?.imageId === imageId) return source;
  }
  const message = `nothing on node ${node} needs image ${imageId}, or no other node has it`;
  throw new ProtocolError("not_found", message, { imageId });
}

function neededImages(view: ClusterView, node: string): PinnedImage[] {
  const images: PinnedImage[] = [];
  for (const { value: task } of view.tasks.by("node", node)) {
    const state = statusOf(view, task.id)?.state;
    if (state !== undefined && isFinal(state)) continue;
    const assignment = assignmentOf(view, task);
    if (assignment !== undefined) images.push(assignment.image);
  }
  for (const { value: operation } of view.operations.by("node", node)) {
    const { input, state } = operation;
    const isOpen = state === "pending" || state === "running";
    if (isOpen && input.kind === "fetch-images") images.push(...input.images);
  }
  return images;
}

function sourceOf(view: ClusterView, node: string, image: PinnedImage): ImageSource {
  const source = trySource(view, node, image);
  if (source !== undefined) return source;
  const message = `no other node in contact has image ${image.reference}`;
  throw new ProtocolError("not_found", message, { reference: image.reference });
}

function trySource(view: ClusterView, node: string, image: PinnedImage): ImageSource | undefined {
  const told = tellers(view, node, image);
  const imageId = image.imageId ?? agreed(told.map(({ local }) => local.id));
  if (imageId === undefined) return undefined;
  const others = resolvers(view, imageId).filter((name) => name !== node && isUp(view, name));
  const nodes = [...new Set([...told.map(({ name }) => name), ...others])];
  if (nodes.length === 0) return undefined;
  const sizeBytes = told[0]?.local.sizeBytes ?? image.sizeBytes;
  return { imageId, nodes, ...(sizeBytes === undefined ? {} : { sizeBytes }) };
}

interface Teller {
  readonly name: string;
  readonly local: LocalImage;
}

/** Nodes in contact that say that they have the image. */
function tellers(view: ClusterView, node: string, { imageId, repoDigest }: PinnedImage): Teller[] {
  return view.nodes.all().flatMap(({ value: { name } }) => {
    if (name === node || !isUp(view, name)) return [];
    const local = nodeStatus(view, name)?.images?.find(({ id, names }) =>
      imageId === undefined
        ? repoDigest !== undefined && names.includes(repoDigest)
        : id === imageId,
    );
    return local === undefined ? [] : [{ name, local }];
  });
}

/** Nodes that found or built the image for a release: they have not always told yet. */
function resolvers(view: ClusterView, imageId: string): string[] {
  return view.operations.all().flatMap(({ value: { node, images } }) => {
    const has = Object.values(images ?? {}).some((image) => image.imageId === imageId);
    return has ? [node] : [];
  });
}

function agreed(ids: readonly string[]): string | undefined {
  const [first] = ids;
  return ids.every((id) => id === first) ? first : undefined;
}

function isUp(view: ClusterView, name: string): boolean {
  const isInContact = view.nodes.get(keys.node(name))?.value.contact === "up";
  return isInContact && nodeStatus(view, name)?.engine.reachable === true;
}

function nodeStatus(view: ClusterView, name: string): NodeStatus | undefined {
  return view.nodeStatuses.get(keys.nodeStatus(name))?.value;
}
