/**
 * What containers find in their file system besides image and volumes: configs and secrets in memory,
 * objects by content on disk, our resolv.conf and hosts.
 *
 * Every path is made of the platform's own identifiers and numbers, never of a user's name. Files are bind
 * mounts and follow the inode: what may change while a container runs (resolv.conf) is rewritten in place,
 * everything else is written once under a temporary name and renamed.
 */

import {
  chmod,
  chown,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from "node:fs/promises";
import { join } from "node:path";
import { resolvConf } from "@berth/network";
import {
  type Assignment,
  type FileReference,
  type Mount,
  type Network,
  ProtocolError,
} from "@berth/protocol";
import type { ContainerMount } from "../runtime/port.ts";
import { hostnameOf } from "../task/container-request.ts";
import type { TaskFilesPort } from "../task/task-ports.ts";
import type { BlobCache } from "./blob-cache.ts";
import { hostsFile } from "./hosts-file.ts";
import type { SecretSource } from "./secret-source.ts";
import { unpack } from "./unpack.ts";

/** Objects are readable by all inside the container unless the file says otherwise. */
const OBJECT_MODE = 0o444;

const HOSTS_PATH = "/etc/hosts";

type ObjectMount = Extract<Mount, { readonly kind: "object" }>;

interface Owner {
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

export interface TaskFilesOptions {
  /** In memory, 0700: see memory-mount.ts. */
  readonly memoryDirectory: string;
  /** On disk, below the agent's data. */
  readonly objectsDirectory: string;
  readonly blobs: BlobCache;
  readonly secrets: SecretSource;
  /** Of the other tasks of a pod. */
  readonly assignmentOf: (task: string) => Assignment | undefined;
}

export class TaskFiles implements TaskFilesPort {
  readonly #options: TaskFilesOptions;
  readonly #unpacking = new Map<string, Promise<string>>();

  constructor(options: TaskFilesOptions) {
    this.#options = options;
  }

  async prepare(
    assignment: Assignment,
    networks: ReadonlyMap<string, Network>,
    signal: AbortSignal,
  ): Promise<readonly ContainerMount[]> {
    const folder = this.#folderOf(assignment.task.id);
    await mkdir(folder, { recursive: true, mode: 0o700 });
    return [
      ...(await this.#resolver(assignment, networks, folder)),
      ...(await this.#hosts(assignment, folder)),
      ...(await this.#configs(assignment, folder, signal)),
      ...(await this.#secrets(assignment, folder, signal)),
      ...(await this.#objects(assignment, signal)),
    ];
  }

  async seed(digest: string, signal: AbortSignal): Promise<Uint8Array> {
    return await readFile(await this.#options.blobs.path(digest, signal));
  }

  async remove(task: string): Promise<void> {
    await rm(this.#folderOf(task), { recursive: true, force: true });
  }

  /** Removes what tasks left that are not known any more. */
  async removeOthers(known: (task: string) => boolean): Promise<void> {
    for (const task of await readdir(this.#options.memoryDirectory)) {
      if (!known(task)) await this.remove(task);
    }
  }

  #folderOf(task: string): string {
    return join(this.#options.memoryDirectory, task);
  }

  async #resolver(
    { task, spec }: Assignment,
    networks: ReadonlyMap<string, Network>,
    folder: string,
  ): Promise<ContainerMount[]> {
    const main = task.podTask === undefined ? undefined : this.#options.assignmentOf(task.podTask);
    const attachment = task.attachments[0] ?? main?.task.attachments[0];
    const gateway = attachment && networks.get(attachment.networkId)?.gateway;
    if (gateway === undefined || spec.networkMode !== "networks") return [];
    const { dnsSearch, dnsOptions, dnsServers = [] } = spec.engine;
    const text = resolvConf({
      gateway,
      ...(dnsSearch === undefined ? {} : { search: dnsSearch }),
      ...(dnsOptions === undefined ? {} : { options: dnsOptions }),
    });
    // Servers of the file stand behind ours: resolvers ask them when ours does not answer.
    const further = dnsServers.map((server) => `nameserver ${server}\n`).join("");
    const source = join(folder, "resolv.conf");
    await rewrite(source, Buffer.from(text + further), 0o644);
    return [{ kind: "bind", source, target: "/etc/resolv.conf", readOnly: true }];
  }

  /** As fresh in each attempt as an engine's: a container may write to it. */
  async #hosts(assignment: Assignment, folder: string): Promise<ContainerMount[]> {
    const { task, spec } = assignment;
    const main = task.podTask === undefined ? undefined : this.#options.assignmentOf(task.podTask);
    // Who joins a pod's network has the names of its first member; alone, it is that member.
    const owner = task.attachments.length > 0 ? assignment : main;
    if (owner === undefined || owner.task.attachments.length === 0) return [];
    // Names of the file may stand for what only the engine knows, such as its own address.
    if (spec.networkMode !== "networks" || (owner.spec.engine.extraHosts ?? []).length > 0)
      return [];
    if (bringsHosts(spec)) return [];
    const hostname = hostnameOf(owner);
    const { domainname } = owner.spec.engine;
    const names = domainname === undefined ? [hostname] : [`${hostname}.${domainname}`, hostname];
    const addresses = owner.task.attachments.map(({ address }) => address);
    const source = join(folder, "hosts");
    await rewrite(source, Buffer.from(hostsFile({ names, addresses })), 0o644);
    const readOnly = spec.engine.readOnlyRoot ?? false;
    return [{ kind: "bind", source, target: HOSTS_PATH, readOnly }];
  }

  async #configs(
    { spec, configs }: Assignment,
    folder: string,
    signal: AbortSignal,
  ): Promise<ContainerMount[]> {
    const mounts: ContainerMount[] = [];
    for (const [index, reference] of spec.configs.entries()) {
      const digest = configs[reference.name]?.digest;
      if (digest === undefined) throw unknownFile("config", reference);
      const bytes = await readFile(await this.#options.blobs.path(digest, signal));
      mounts.push(await placeFile(join(folder, `config-${index}`), bytes, reference, "/"));
    }
    return mounts;
  }

  async #secrets(
    assignment: Assignment,
    folder: string,
    signal: AbortSignal,
  ): Promise<ContainerMount[]> {
    const contents = await this.#options.secrets.read(assignment, signal);
    const mounts: ContainerMount[] = [];
    for (const [index, reference] of assignment.spec.secrets.entries()) {
      const bytes = contents.get(reference.name);
      if (bytes === undefined) throw unknownFile("secret", reference);
      const path = join(folder, `secret-${index}`);
      mounts.push(await placeFile(path, bytes, reference, "/run/secrets/"));
    }
    return mounts;
  }

  async #objects({ spec }: Assignment, signal: AbortSignal): Promise<ContainerMount[]> {
    const mounts: ContainerMount[] = [];
    for (const mount of spec.mounts) {
      if (mount.kind !== "object") continue;
      const source = await this.#object(mount, signal);
      mounts.push({ kind: "bind", source, target: mount.target, readOnly: true });
    }
    return mounts;
  }

  /** One copy on disk for each content and owner, shared by all tasks: it is never written to. */
  async #object(mount: ObjectMount, signal: AbortSignal): Promise<string> {
    const owner = { mode: mount.mode ?? OBJECT_MODE, uid: mount.uid ?? 0, gid: mount.gid ?? 0 };
    const variant = mount.form === "file" ? `-${owner.mode.toString(8)}` : "";
    const digest = mount.digest.slice("sha256:".length);
    const name = `${digest}${variant}-${owner.uid}-${owner.gid}`;
    const path = join(this.#options.objectsDirectory, name);
    if (await isThere(path)) return path;
    const under = this.#unpacking.get(path);
    if (under !== undefined) return await under;
    const making = this.#makeObject(mount, owner, path, signal);
    this.#unpacking.set(path, making);
    try {
      return await making;
    } finally {
      this.#unpacking.delete(path);
    }
  }

  async #makeObject(
    mount: ObjectMount,
    owner: Owner,
    path: string,
    signal: AbortSignal,
  ): Promise<string> {
    const blob = await this.#options.blobs.path(mount.digest, signal);
    await mkdir(this.#options.objectsDirectory, { recursive: true, mode: 0o711 });
    const partial = `${path}.partial`;
    await rm(partial, { recursive: true, force: true });
    if (mount.form === "file") {
      await writeFile(partial, await readFile(blob), { mode: 0o600 });
      await own(partial, owner);
    } else {
      await mkdir(partial, { mode: 0o755 });
      await unpack(blob, partial, signal);
    }
    await rename(partial, path);
    return path;
  }
}

async function placeFile(
  path: string,
  bytes: Buffer,
  reference: FileReference,
  folder: string,
): Promise<ContainerMount> {
  const target = reference.target.startsWith("/") ? reference.target : folder + reference.target;
  const current = await readFile(path).catch(() => undefined);
  if (current === undefined || !current.equals(bytes)) {
    const partial = `${path}.partial`;
    await rm(partial, { force: true });
    await writeFile(partial, bytes, { mode: 0o600, flag: "wx" });
    await own(partial, reference);
    await rename(partial, path);
  }
  return { kind: "bind", source: path, target, readOnly: true };
}

/** The file puts something of its own there. */
function bringsHosts({ mounts, configs, secrets }: Assignment["spec"]): boolean {
  return [...mounts, ...configs, ...secrets].some(({ target }) => target === HOSTS_PATH);
}

/** In place: a running container sees it at once. */
async function rewrite(path: string, bytes: Buffer, mode: number): Promise<void> {
  const current = await readFile(path).catch(() => undefined);
  if (current?.equals(bytes)) return;
  await writeFile(path, bytes);
  await chmod(path, mode);
}

async function own(path: string, { mode, uid, gid }: Owner): Promise<void> {
  // An agent without root can give files to nobody: they stay its own, as its engine's containers run.
  if (process.getuid?.() === 0) await chown(path, uid, gid);
  await chmod(path, mode);
}

async function isThere(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined)) !== undefined;
}

function unknownFile(kind: string, { name }: FileReference): ProtocolError {
  return new ProtocolError("invalid_stack", `${kind} ${name} has no content`, { [kind]: name });
}
