/**
 * A service: all keys of the specification, in the order in which the reference implementation prints them.
 */

import { nearestWord } from "@berth/base";
import { type Codec, type Reading, refuse } from "../codec/codec.ts";
import {
  distinctTexts,
  environmentTable,
  list,
  optionTable,
  tableOf,
  textOrTexts,
  textTable,
  uniqueTexts,
} from "../codec/collection-codecs.ts";
import { field, record } from "../codec/record-codec.ts";
import {
  bool,
  bytes,
  cpuMillis,
  durationMs,
  integer,
  isUnexpanded,
  oneOf,
  text,
  textOrInteger,
} from "../codec/scalar-codecs.ts";
import type {
  BlkioConfig,
  BlkioLimit,
  BlkioWeight,
  ComposeService,
  CredentialSpec,
  EnvFile,
  Logging,
  Provider,
  RestartPolicy,
  ServiceDependency,
  ServiceModelUse,
} from "../model/service-model.ts";
import { isNull, kindName, mapTree, type Tree, textTree } from "../tree/tree.ts";
import { serviceWishes } from "./berth-service-codec.ts";
import { build, develop, ulimits } from "./build-codecs.ts";
import { command, healthcheck, serviceHooks, startSteps } from "./command-codecs.ts";
import { deploy, gpus } from "./deploy-codecs.ts";
import {
  CAPABILITIES,
  doubted,
  HOST_MODE,
  IPC_MODES,
  NAME_SERVERS,
  PID_MODES,
  SIGNALS,
} from "./doubted.ts";
import { extraHosts } from "./host-codecs.ts";
import { configReferences, devices, mounts, secretReferences } from "./mount-codecs.ts";
import { attachments } from "./network-codecs.ts";
import { hostPath } from "./path-codecs.ts";
import { expose, ports } from "./port-codecs.ts";

const blkioLimitWords = record<BlkioLimit>(
  { path: field("path", text), rate: field("rate", bytes({ whole: true })) },
  { closed: true },
);
const blkioWeightWords = record<BlkioWeight>(
  { path: field("path", text), weight: field("weight", integer({ min: 0, max: 65_535 })) },
  { closed: true },
);

/** The reference's JSON names these as its own code does, in upper case, and prints them always. */
const blkioLimit: Codec<BlkioLimit> = {
  ...blkioLimitWords,
  print: ({ path, rate }, format) =>
    new Map([
      [format === "json" ? "Path" : "path", path ?? ""],
      [format === "json" ? "Rate" : "rate", String(rate ?? 0)],
    ]),
};

const blkioWeight: Codec<BlkioWeight> = {
  ...blkioWeightWords,
  print: ({ path, weight }, format) =>
    new Map<string, string | number>([
      [format === "json" ? "Path" : "path", path ?? ""],
      [format === "json" ? "Weight" : "weight", weight ?? 0],
    ]),
};

const blkioConfig = record<BlkioConfig>({
  weight: field("weight", integer({ min: 0, max: 65_535 })),
  weightDevice: field("weight_device", list(blkioWeight)),
  deviceReadBps: field("device_read_bps", list(blkioLimit)),
  deviceReadIops: field("device_read_iops", list(blkioLimit)),
  deviceWriteBps: field("device_write_bps", list(blkioLimit)),
  deviceWriteIops: field("device_write_iops", list(blkioLimit)),
});

const credentialSpec = record<CredentialSpec>({
  config: field("config", text),
  file: field("file", text),
  registry: field("registry", text),
});

const logging = record<Logging>({
  driver: field("driver", text),
  options: field("options", optionTable(["string", "int", "float", "null"])),
});

const CONDITIONS = [
  "service_started",
  "service_healthy",
  "service_completed_successfully",
] as const;

const dependencyWords = record<ServiceDependency>({
  condition: field("condition", oneOf(CONDITIONS), {
    required: true,
    missing: `condition: ${CONDITIONS.join(", ")}`,
  }),
  restart: field("restart", bool),
  required: field("required", bool, { keepZero: true }),
});

const dependency: Codec<ServiceDependency> = {
  ...dependencyWords,
  read(tree, path, reading) {
    if (isNull(tree)) return { condition: "service_started", required: true };
    const words = dependencyWords.read(tree, path, reading);
    return words === undefined ? undefined : { ...words, required: words.required ?? true };
  },
};

const envFileWords = record<EnvFile>(
  {
    file: field("path", hostPath, { required: true }),
    required: field("required", bool, { keepZero: true }),
    format: field("format", oneOf(["raw"])),
  },
  {
    closed: true,
    expand: (tree, path, reading) => {
      const written = text.read(tree, path, reading);
      return written === undefined
        ? undefined
        : mapTree(tree, new Map([["path", { key: tree, value: textTree(tree, written) }]]));
    },
    short: { words: "a path", schema: { type: "string" } },
  },
);

const envFile: Codec<EnvFile> = {
  ...envFileWords,
  read(tree, path, reading) {
    const words = envFileWords.read(tree, path, reading);
    return words === undefined ? undefined : { ...words, required: words.required ?? true };
  },
  print: (value, format) =>
    value.required && value.format === undefined
      ? value.file.path
      : envFileWords.print(value, format),
};

/** `env_file`: read while loading, not printed. */
export const envFileList = list(envFile, { single: true, identity: (one) => one.file.path });

const RESTART_WORDS = ["no", "always", "on-failure", "unless-stopped"] as const;

/** Any text is a policy to the reference; what is none is printed as it is, and refused at deploy. */
const restart: Codec<RestartPolicy> = {
  read(tree, path, reading) {
    if (tree.kind !== "scalar" || tree.type !== "string") return refuseRestart(tree, path, reading);
    const written = tree.text;
    if (written === "") return undefined;
    const match = /^([a-z-]+)(?::(\d{1,9}))?$/.exec(written);
    const policy = RESTART_WORDS.find((word) => word === match?.[1]);
    if (policy !== undefined && (match?.[2] === undefined || policy === "on-failure")) {
      return match?.[2] === undefined ? { policy } : { policy, maxRetries: Number(match[2]) };
    }
    if (!isUnexpanded(tree, reading)) {
      reading.problems.warn(tree, path, `is ${kindName(tree)}, which berth deploy refuses`, {
        expected: RESTART_EXPECTED,
        suggestion: nearestWord(written, RESTART_WORDS),
      });
    }
    return { policy: "unknown", written };
  },
  print: ({ policy, maxRetries, written }) =>
    written ?? (maxRetries === undefined ? policy : `${policy}:${maxRetries}`),
  schema: {
    type: "string",
    anyOf: [{ enum: RESTART_WORDS }, { pattern: "^on-failure:[0-9]+$" }, { pattern: "\\$" }],
  },
};

const RESTART_EXPECTED = '"no", "always", "on-failure[:TIMES]" or "unless-stopped"';

function refuseRestart(tree: Tree, path: string, reading: Reading): undefined {
  const isFalse = tree.kind === "scalar" && tree.type === "bool" && tree.text === "false";
  return refuse(reading, tree, path, {
    found: `is ${kindName(tree)}`,
    expected: RESTART_EXPECTED,
    suggestion: isFalse ? '"no"' : undefined,
  });
}

const PULL_WORDS = [
  "always",
  "never",
  "build",
  "if_not_present",
  "missing",
  "refresh",
  "daily",
  "weekly",
] as const;

const pullPolicy: Codec<string> = {
  read(tree, path, reading) {
    if (tree.kind === "scalar" && /^every_(\d+[wdhms])+$/.test(tree.text)) return tree.text;
    const word = oneOf(PULL_WORDS).read(tree, path, reading);
    return word === "if_not_present" ? "missing" : word;
  },
  print: (value) => value,
  schema: { type: "string" },
};

const providerOption: Codec<readonly string[]> = {
  read(tree, path, reading) {
    const items = tree.kind === "seq" ? tree.items : [tree];
    if (items.every((item) => item.kind === "scalar")) return items.map((item) => item.text);
    return refuse(reading, tree, path, {
      found: `is ${kindName(tree)}`,
      expected: "text or a list of texts",
    });
  },
  print: (values) => (values.length === 1 ? (values[0] ?? null) : values),
  schema: {},
};

const provider = record<Provider>({
  type: field("type", text, { required: true }),
  options: field("options", tableOf(providerOption)),
});

const modelUse: Codec<ServiceModelUse> = record<ServiceModelUse>(
  { endpointVar: field("endpoint_var", text), modelVar: field("model_var", text) },
  { expand: (tree) => (isNull(tree) ? mapTree(tree, new Map()) : tree) },
);

/** Name servers; an empty one, as a variable without a value leaves it, is none. */
const servers = doubted(textOrTexts, NAME_SERVERS);

const dns: Codec<readonly string[]> = {
  ...servers,
  read: (tree, path, reading) =>
    servers.read(tree, path, reading)?.filter((server) => server !== ""),
};

/** Whole numbers of which the reference cuts a fraction off. */
const number = integer({ truncate: true });

/** `services.*`. */
export const service = record<ComposeService>(
  {
    profiles: field("profiles", uniqueTexts),
    annotations: field("annotations", textTable),
    attach: field("attach", bool, { keepZero: true }),
    build: field("build", build),
    develop: field("develop", develop, { nullable: true }),
    blkioConfig: field("blkio_config", blkioConfig),
    capAdd: field("cap_add", doubted(uniqueTexts, CAPABILITIES)),
    capDrop: field("cap_drop", doubted(uniqueTexts, CAPABILITIES)),
    cgroupParent: field("cgroup_parent", text),
    cgroup: field("cgroup", oneOf(["host", "private"])),
    cpuCount: field("cpu_count", integer({ min: 0 })),
    cpuPercent: field("cpu_percent", integer({ min: 0, max: 100 })),
    cpuPeriod: field("cpu_period", number),
    cpuQuota: field("cpu_quota", number),
    cpuRtPeriod: field("cpu_rt_period", number),
    cpuRtRuntime: field("cpu_rt_runtime", number),
    cpuMillis: field("cpus", cpuMillis),
    cpuset: field("cpuset", text),
    cpuShares: field("cpu_shares", number),
    command: field("command", command, { jsonAbsent: null }),
    configs: field("configs", configReferences),
    containerName: field("container_name", containerNameCodec()),
    credentialSpec: field("credential_spec", credentialSpec),
    dependsOn: field("depends_on", tableOf(dependency, { list: true })),
    deploy: field("deploy", deploy, { nullable: true }),
    deviceCgroupRules: field("device_cgroup_rules", distinctTexts),
    devices: field("devices", devices),
    dns: field("dns", dns),
    dnsOpt: field("dns_opt", uniqueTexts),
    dnsSearch: field("dns_search", textOrTexts),
    domainname: field("domainname", text),
    entrypoint: field("entrypoint", command, { jsonAbsent: null }),
    environment: field("environment", environmentTable),
    envFiles: field("env_file", envFileList, { hidden: true }),
    expose: field("expose", expose),
    externalLinks: field("external_links", distinctTexts),
    extraHosts: field("extra_hosts", extraHosts),
    groupAdd: field("group_add", list(textOrInteger, { distinct: true })),
    gpus: field("gpus", gpus),
    hostname: field("hostname", text),
    healthcheck: field("healthcheck", healthcheck),
    image: field("image", text),
    init: field("init", bool, { keepZero: true }),
    ipc: field("ipc", doubted(text, IPC_MODES)),
    isolation: field("isolation", text),
    labels: field("labels", textTable),
    labelFiles: field("label_file", list(hostPath, { single: true, identity: (one) => one.path }), {
      hidden: true,
    }),
    links: field("links", uniqueTexts),
    logging: field("logging", logging),
    memLimitBytes: field("mem_limit", bytes()),
    memReservationBytes: field("mem_reservation", bytes({ whole: true })),
    memSwapLimitBytes: field("memswap_limit", bytes()),
    memSwappiness: field("mem_swappiness", bytes({ whole: true })),
    macAddress: field("mac_address", text),
    models: field("models", tableOf(modelUse, { list: true })),
    networkMode: field("network_mode", text),
    networks: field("networks", attachments),
    oomKillDisable: field("oom_kill_disable", bool),
    oomScoreAdj: field("oom_score_adj", integer({ min: -1000, max: 1000 })),
    pid: field("pid", doubted(text, PID_MODES), { nullable: true }),
    pidsLimit: field("pids_limit", integer({ min: -1, truncate: true })),
    platform: field("platform", text),
    ports: field("ports", ports),
    privileged: field("privileged", bool),
    provider: field("provider", provider),
    pullPolicy: field("pull_policy", pullPolicy),
    pullRefreshAfter: field("pull_refresh_after", text),
    readOnly: field("read_only", bool),
    restart: field("restart", restart),
    runtime: field("runtime", text),
    scale: field("scale", integer({ min: 0 }), { keepZero: true }),
    secrets: field("secrets", secretReferences),
    securityOpt: field("security_opt", distinctTexts),
    shmSizeBytes: field("shm_size", bytes()),
    stdinOpen: field("stdin_open", bool),
    stopGracePeriodMs: field("stop_grace_period", durationMs),
    stopSignal: field("stop_signal", doubted(text, SIGNALS)),
    storageOpt: field("storage_opt", optionTable(["string", "int", "null"])),
    sysctls: field("sysctls", textTable),
    tmpfs: field("tmpfs", textOrTexts),
    tty: field("tty", bool),
    ulimits: field("ulimits", ulimits),
    useApiSocket: field("use_api_socket", bool),
    user: field("user", text),
    usernsMode: field("userns_mode", doubted(text, HOST_MODE)),
    uts: field("uts", doubted(text, HOST_MODE)),
    volumes: field("volumes", mounts),
    volumesFrom: field("volumes_from", distinctTexts),
    workingDir: field("working_dir", text),
    preStart: field("pre_start", startSteps),
    postStart: field("post_start", serviceHooks),
    preStop: field("pre_stop", serviceHooks),
    xBerth: field("x-berth", serviceWishes),
  },
  {
    expected: "a mapping with image or build",
    misplaced: {
      restart_policy: "restart",
      restartPolicy: "restart",
      livenessProbe: "x-berth.probes.live",
      readinessProbe: "x-berth.probes.ready",
      startupProbe: "x-berth.probes.startup",
      lifecycle: "post_start or pre_stop",
      resource: "deploy.resources",
      update_config: "deploy.update_config",
      host_name: "hostname",
      workdir: "working_dir",
      cwd: "working_dir",
      depends: "depends_on",
      needs: "depends_on",
      log_driver: "logging.driver",
      gpu: "gpus",
      replicas: "deploy.replicas",
      resources: "deploy.resources",
      placement: "deploy.placement",
      limits: "deploy.resources.limits",
      env: "environment",
      envfile: "env_file",
      name: "container_name",
      cmd: "command",
      port: "ports",
      volume: "volumes",
      network: "networks",
      health_check: "healthcheck",
      probes: "x-berth.probes",
      routes: "x-berth.routes",
      args: "build.args",
      dockerfile: "build.dockerfile",
      context: "build.context",
      mem: "mem_limit",
      memory: "mem_limit",
    },
  },
);

/** Any text to the reference; a name made of an unset variable (`-db`) is common. The platform only uses it as an alias. */
function containerNameCodec(): Codec<string> {
  return {
    ...text,
    read(tree, path, reading) {
      const written = text.read(tree, path, reading);
      if (written === undefined || written === "" || isUnexpanded(tree, reading)) return written;
      if (CONTAINER_NAME.test(written)) return written;
      reading.problems.warn(tree, path, `is ${JSON.stringify(written)}, which names nothing`, {
        expected: "letters, digits, '_', '.', '-', the first a letter or digit",
      });
      return written;
    },
  };
}

/** What a container may be called. */
export const CONTAINER_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/** All keys of a service, texts included for the schema and the support table. */
export const SERVICE_KEYS: ReadonlySet<string> = new Set([...service.keys.keys(), "extends"]);
