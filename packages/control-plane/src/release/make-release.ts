/**
 * A deployment whose images are pinned becomes a release, or turns out to be what runs already. Pure: the
 * deployment controller commits what is returned.
 */

import type {
  Deployment,
  PinnedImage,
  PublishedPort,
  Release,
  ReleaseService,
} from "@berth/protocol";
import type { ChoosePort } from "./host-ports.ts";
import { canonical, templateOf } from "./template.ts";

export interface ReleaseInput {
  readonly deployment: Deployment;
  /** The pinned image of each reference; all that the spec names are there. */
  readonly images: Readonly<Record<string, PinnedImage>>;
  readonly number: number;
  readonly now: number;
  /** The release that the stack is at: chosen ports are kept from it. */
  readonly current: Release | undefined;
  /** A free host port, each time another one; `undefined` when none is left. */
  readonly choosePort: ChoosePort;
}

/** The release that the deployment asks for. Ports without a number get one. */
export function makeRelease(input: ReleaseInput): Release {
  const { deployment, number, now } = input;
  const { spec, secrets } = deployment;
  const context = { ...spec, secrets };
  const services: Record<string, ReleaseService> = {};
  for (const [name, written] of Object.entries(spec.services)) {
    const service = { ...written, ports: portsOf(name, written.ports, input) };
    const image = input.images[written.image] ?? { reference: written.image };
    services[name] = { spec: service, image, template: templateOf(service, image, context) };
  }
  return {
    project: deployment.project,
    environment: deployment.environment,
    stack: deployment.stack,
    number,
    createdAt: now,
    createdBy: deployment.createdBy,
    services,
    networks: spec.networks,
    volumes: spec.volumes,
    configs: spec.configs,
    secrets,
    ...(spec.source === undefined ? {} : { source: spec.source }),
  };
}

/** Ports with a number each: the file's, else the one that the service has now, else a free one. */
function portsOf(
  service: string,
  ports: readonly PublishedPort[],
  { current, choosePort }: ReleaseInput,
): PublishedPort[] {
  const known = [...(current?.services[service]?.spec.ports ?? [])];
  return ports.map((port) => {
    if (port.published !== undefined) return port;
    // Each is kept for one: the file may leave two ports of the same target to the platform.
    const index = known.findIndex((each) => isSameWish(each, port));
    const [before] = index < 0 ? [] : known.splice(index, 1);
    const published = before?.published ?? choosePort(port.protocol, port.publishedRange);
    return published === undefined ? port : { ...port, published };
  });
}

function isSameWish(known: PublishedPort, { target, protocol, publishedRange }: PublishedPort) {
  const { published = 0 } = known;
  if (known.target !== target || known.protocol !== protocol) return false;
  if (publishedRange === undefined) return true;
  return published >= publishedRange.first && published <= publishedRange.last;
}

/** Whether two releases say the same: number, author, time and the text of the file do not count. */
export function sameContent(a: Release, b: Release): boolean {
  return contentOf(a) === contentOf(b);
}

function contentOf(release: Release): string {
  const { services, networks, volumes, configs, secrets } = release;
  return canonical({ services, networks, volumes, configs, secrets });
}
