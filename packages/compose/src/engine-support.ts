/**
 * What other engines could honour of a service: `docker service` (Swarm mode, API 1.52) and Kubernetes (1.33).
 *
 * Berth runs stacks by its own engine only (`x-berth.engine`); this table says what a file would keep of its meaning behind
 * another one, read from what a Swarm service and a pod can say. Keys that are not named here are honoured wherever the own
 * engine honours them: the loader, the release or the server does them (`build`, `profiles`, `pull_policy` ...).
 */

import type { SupportLevel } from "./support.ts";

export interface EngineSupport {
  readonly level: SupportLevel;
  /** What is missing, or how it would be said there. */
  readonly note: string;
}

type Table = Readonly<Record<string, EngineSupport>>;

function table(
  not: Readonly<Record<string, string>>,
  partly: Readonly<Record<string, string>>,
): Table {
  const rows = (level: SupportLevel, notes: Readonly<Record<string, string>>) =>
    Object.entries(notes).map(([key, note]) => [key, { level, note }] as const);
  return Object.fromEntries([...rows("not", not), ...rows("partly", partly)]);
}

/** A service has no field for these. */
const NO_FIELD = "";

/** By the names of a service's keys. */
export const SWARM: Table = table(
  {
    annotations: NO_FIELD,
    blkio_config: NO_FIELD,
    cgroup: NO_FIELD,
    cgroup_parent: NO_FIELD,
    cpu_period: NO_FIELD,
    cpu_quota: "cpus does the same",
    cpu_rt_period: NO_FIELD,
    cpu_rt_runtime: NO_FIELD,
    cpu_shares: NO_FIELD,
    cpuset: NO_FIELD,
    device_cgroup_rules: NO_FIELD,
    devices: NO_FIELD,
    domainname: NO_FIELD,
    ipc: NO_FIELD,
    mac_address: NO_FIELD,
    oom_kill_disable: NO_FIELD,
    pid: NO_FIELD,
    privileged: NO_FIELD,
    runtime: NO_FIELD,
    storage_opt: NO_FIELD,
    userns_mode: NO_FIELD,
    uts: NO_FIELD,
    volumes_from: NO_FIELD,
  },
  {
    gpus: "counted as generic resources; the engine's default runtime gives them",
    mem_swappiness: "from API 1.52",
    memswap_limit: "from API 1.52",
    network_mode: "host and none",
    post_start: "by the platform, after the engine's event",
    pre_stop: "when the platform stops it",
    restart: "always, on-failure and no; unless-stopped is always",
    security_opt: "SELinux, seccomp, AppArmor and no-new-privileges",
    shm_size: "a tmpfs at /dev/shm",
  },
);

/** By the names of a service's keys. */
export const KUBERNETES: Table = table(
  {
    blkio_config: NO_FIELD,
    cgroup: NO_FIELD,
    cgroup_parent: NO_FIELD,
    cpu_period: "of the kubelet",
    cpu_quota: "cpus does the same",
    cpu_rt_period: NO_FIELD,
    cpu_rt_runtime: NO_FIELD,
    cpuset: "of the kubelet's policy",
    device_cgroup_rules: NO_FIELD,
    init: "in the image",
    isolation: NO_FIELD,
    logging: "of the node's runtime",
    mac_address: NO_FIELD,
    mem_swappiness: NO_FIELD,
    memswap_limit: "of the kubelet",
    oom_kill_disable: NO_FIELD,
    oom_score_adj: "follows from requests and limits",
    pids_limit: "of the kubelet",
    storage_opt: "ephemeral-storage limits instead",
    ulimits: NO_FIELD,
    uts: NO_FIELD,
  },
  {
    cpu_shares: "as a request of cpus",
    depends_on: "by the platform; Kubernetes starts all at once",
    devices: "through a device plugin",
    domainname: "as subdomain of the cluster's own",
    group_add: "numbers only",
    healthcheck: "as probes; start_interval has no like",
    ipc: "host, and service: in one pod",
    network_mode: "host, and service: in one pod",
    pid: "host, and service: in one pod",
    post_start: "one hook, as the container's user",
    pre_stop: "one hook, as the container's user",
    restart: "always, and on-failure for jobs",
    security_opt: "seccomp, AppArmor, SELinux and no-new-privileges",
    stop_signal: "from 1.33",
    user: "numbers only",
    userns_mode: "hostUsers",
    volumes_from: "in one pod",
  },
);
