/**
 * What the runtime's end-to-end tests share: a busybox image built from the machine's static binary, names
 * of their own, and a clean-up that removes exactly what carries them.
 */

import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { silentLogger } from "@berth/base";
import { pack } from "tar-stream";
import { requestOf } from "../src/runtime/contract-subject.ts";
import type { DirectOptions } from "../src/runtime/direct-starts.ts";
import { type DockerOptions, type DockerRuntime, dockerRuntime } from "../src/runtime/docker.ts";
import type { ContainerMount, ImageInfo, NetworkRequest } from "../src/runtime/port.ts";

const BUSYBOX = "/bin/busybox";
const DOCKERFILE = [
  "FROM scratch",
  "COPY busybox /bin/busybox",
  'RUN ["/bin/busybox", "--install", "-s", "/bin"]',
  "ENV PATH=/bin",
  "",
].join("\n");

export interface Lab {
  readonly runtime: DockerRuntime;
  readonly cluster: string;
  readonly image: ImageInfo;
  readonly network: NetworkRequest;
  close(): Promise<void>;
}

/** `number` (0 to 99) tells labs of one run apart: it is part of names and of the network's range. */
export async function openLab(number: number, options: DockerOptions = {}): Promise<Lab> {
  const cluster = `lab${number}p${process.pid}`;
  const runtime = dockerRuntime(options);
  const image = await buildBusybox(runtime, cluster);
  const network: NetworkRequest = {
    id: `${(process.pid % 0xffffff).toString(16).padStart(6, "0")}${String(number).padStart(2, "0")}`,
    cluster,
    bridge: `bl${number}p${process.pid}`,
    subnet: `10.251.${number}.0/24`,
    gateway: `10.251.${number}.1`,
    internal: false,
  };
  const close = async () => {
    for (const id of [cluster, `${cluster}-other`]) await removeAll(runtime, id);
    await runtime.removeImage(image.imageId);
    runtime.close();
  };
  return { runtime, cluster, image, network, close };
}

/** A lab whose containers with networks are started directly: files that these need, and a first lesson. */
export async function openDirectLab(number: number): Promise<Lab & DirectLabParts> {
  const folder = await mkdtemp(join(tmpdir(), "berth-direct-"));
  const journal = join(folder, "starts");
  const direct = { folder: journal, log: silentLogger };
  const lab = await openLab(number, { direct });
  const networkMounts = ["/etc/hosts", "/etc/resolv.conf"].map((target) => ({
    kind: "bind" as const,
    source: join(folder, basename(target)),
    target,
    readOnly: true,
  }));
  await writeFile(join(folder, "hosts"), "127.0.0.1\tlocalhost\n");
  await writeFile(join(folder, "resolv.conf"), `nameserver ${lab.network.gateway}\n`);
  const teach = async (runtime: DockerRuntime) => {
    const request = requestOf({ ...lab, networkMounts }, `${lab.cluster}-lesson`, {});
    const { id } = await runtime.createContainer(request);
    await runtime.startContainer(id);
    // The lesson is learned beside the start: the first answer that shows it is awaited.
    while (!runtime.startsDirectly) await runtime.inspectContainer(id);
    await runtime.removeContainer(id);
  };
  await teach(lab.runtime);
  const close = async () => {
    await lab.close();
    await rm(folder, { recursive: true });
  };
  return { ...lab, close, networkMounts, journal, direct, teach };
}

export interface DirectLabParts {
  readonly networkMounts: readonly ContainerMount[];
  /** Folder of the starts that are under way. */
  readonly journal: string;
  readonly direct: DirectOptions;
  /** Lets a runtime see where the engine has its processes. */
  teach(runtime: DockerRuntime): Promise<void>;
}

/** Every container, network and volume of a cluster. */
export async function removeAll(runtime: DockerRuntime, cluster: string): Promise<void> {
  const containers = await runtime.listContainers(cluster);
  await Promise.all(containers.map(({ id }) => runtime.removeContainer(id)));
  for (const { id } of await runtime.listNetworks(cluster))
    await runtime.removeNetwork(id, cluster);
  for (const { engineName } of await runtime.listVolumes(cluster)) {
    await runtime.removeVolume(engineName);
  }
}

/** `FROM scratch` with the applets of the machine's static busybox. */
export async function buildBusybox(runtime: DockerRuntime, cluster: string): Promise<ImageInfo> {
  const spec = {
    contextDigest: `sha256:${"0".repeat(64)}`,
    dockerfile: "Dockerfile",
    args: {},
    labels: {},
  };
  const reference = `berth.test/busybox:${cluster}`;
  return runtime.buildImage(reference, spec, busyboxContext(), { cluster, limits: {} });
}

async function* busyboxContext(): AsyncGenerator<Uint8Array> {
  const archive = pack();
  archive.entry({ name: "Dockerfile" }, DOCKERFILE);
  archive.entry({ name: "busybox", mode: 0o755 }, await readFile(BUSYBOX));
  archive.finalize();
  for await (const part of archive) if (part instanceof Uint8Array) yield part;
}
