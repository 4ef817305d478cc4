/**
 * What a project's policy must allow: whatever gives a container power over its host. Each rule names the
 * key of the file that asks for it.
 *
 * Kernel settings (`sysctls`) need no permission: the engine takes only those of the container's own namespaces,
 * and the host's namespaces are asked for by themselves.
 */

import {
  GRANTS,
  type Grant,
  hookOf,
  keys,
  type ServiceSpec,
  type StackSpec,
  type VolumeSpec,
} from "@berth/protocol";
import type { Policy } from "../settings.ts";
import type { ClusterView } from "../state/cluster-tables.ts";
import type { Problem } from "./claims.ts";

interface PolicyRule {
  readonly needs: Grant;
  /** Places below the service that ask for it. */
  readonly places: (spec: ServiceSpec) => readonly string[];
  readonly what: string;
}

/** Sockets of container engines: whoever has one is root on the host. */
const ENGINE_SOCKET = /(^|\/)(docker|podman|containerd|crio)\.sock$/;

/**
 * Capabilities that stay inside the container's namespaces, or only change how its own processes are scheduled
 * and limited. All others amount to power over the host: clocks, modules, raw disks, files by their handles.
 */
const HARMLESS = new Set(
  ["AUDIT_WRITE", "BLOCK_SUSPEND", "CHOWN", "DAC_OVERRIDE", "FOWNER", "FSETID", "IPC_LOCK"].concat(
    ["IPC_OWNER", "KILL", "LEASE", "MKNOD", "NET_ADMIN", "NET_BIND_SERVICE", "NET_BROADCAST"],
    ["NET_RAW", "SETFCAP", "SETGID", "SETPCAP", "SETUID", "SYS_CHROOT", "SYS_NICE"],
    ["SYS_RESOURCE", "WAKE_ALARM"],
  ),
);

/** Takes away what stands between a container and its kernel. */
const UNCONFINED = /[=:](unconfined|disable)$/i;
/** File systems that the engine's local driver mounts from elsewhere, or in memory: nothing of the host. */
const FOREIGN_FILE_SYSTEMS = new Set(["nfs", "nfs4", "cifs", "tmpfs"]);
/** Words of mount options that make a mount of whatever type show a path of the host. */
const HOST_MOUNT_WORDS = new Set(["bind", "rbind", "move", "remount"]);

const RULES: readonly PolicyRule[] = [
  {
    needs: "privileged",
    places: ({ engine, postStart, preStop }) => [
      ...(engine.privileged ? ["privileged"] : []),
      ...(engine.capAdd ?? [])
        .filter((capability) => !HARMLESS.has(capability.toUpperCase().replace(/^CAP_/, "")))
        .map((capability) => `cap_add.${capability}`),
      ...(engine.securityOptions ?? []).flatMap((option, index) =>
        UNCONFINED.test(option) ? [`security_opt[${index}]`] : [],
      ),
      ...(engine.cgroupParent === undefined ? [] : ["cgroup_parent"]),
      ...privilegedHooks("post_start", postStart),
      ...privilegedHooks("pre_stop", preStop),
    ],
    what: "full power over its host",
  },
  {
    needs: "engine-socket",
    places: (spec) =>
      hostSources(spec).flatMap(([place, source]) => (ENGINE_SOCKET.test(source) ? [place] : [])),
    what: "the container engine's socket",
  },
  {
    needs: "host-mounts",
    places: (spec) =>
      hostSources(spec).flatMap(([place, source]) => (ENGINE_SOCKET.test(source) ? [] : [place])),
    what: "a path of its host",
  },
  {
    needs: "devices",
    places: ({ engine }) => [
      ...((engine.devices ?? []).length > 0 ? ["devices"] : []),
      ...((engine.deviceCgroupRules ?? []).length > 0 ? ["device_cgroup_rules"] : []),
      ...((engine.deviceRequests ?? []).length > 0 ? ["gpus"] : []),
    ],
    what: "devices of its host",
  },
  {
    needs: "host-namespaces",
    places: ({ engine, networkMode }) => [
      ...(networkMode === "host" ? ["network_mode"] : []),
      ...(isForeign(engine.pidMode) ? ["pid"] : []),
      ...(isForeign(engine.ipcMode) ? ["ipc"] : []),
      ...(isForeign(engine.usernsMode) ? ["userns_mode"] : []),
      ...(isForeign(engine.utsMode) ? ["uts"] : []),
      ...(isForeign(engine.cgroupMode) ? ["cgroup"] : []),
    ],
    what: "a namespace of its host",
  },
];

function privilegedHooks(key: string, hooks: ServiceSpec["preStop"]): string[] {
  return (hooks ?? []).flatMap((hook, index) =>
    hookOf(hook).privileged === true ? [`${key}[${index}]`] : [],
  );
}

/** The host's namespace, or that of a container by its identifier, which may be anybody's. */
function isForeign(mode: string | undefined): boolean {
  return mode === "host" || mode?.startsWith("container:") === true;
}

function hostSources(spec: ServiceSpec): (readonly [string, string])[] {
  return spec.mounts.flatMap((mount, index) =>
    mount.kind === "host" ? [[`volumes[${index}]`, mount.source] as const] : [],
  );
}

/** What the platform's settings allow to all projects. */
export function grantsOf(policy: Policy): Grant[] {
  const fields: Readonly<Record<Grant, boolean>> = {
    privileged: policy.privileged,
    "engine-socket": policy.engineSocket,
    "host-mounts": policy.hostMounts,
    devices: policy.devices,
    "host-namespaces": policy.hostNamespaces,
  };
  return (Object.keys(GRANTS) as Grant[]).filter((grant) => fields[grant]);
}

/** What the grants come to. */
export function grantedTo(everywhere: readonly Grant[], own: readonly Grant[]): Set<Grant> {
  return new Set([...everywhere, ...own]);
}

/** What stack files of `project` may ask for. */
export function policyOf(view: ClusterView, project: string, settings: Policy): ReadonlySet<Grant> {
  const own = view.policies.get(keys.policy(project))?.value.allow ?? [];
  return grantedTo(grantsOf(settings), own);
}

/** What the policy does not allow; empty when all is allowed. */
export function policyProblems(
  { services, volumes }: Pick<StackSpec, "services" | "volumes">,
  allowed: ReadonlySet<Grant>,
  project: string,
): Problem[] {
  const denied = (path: string, what: string, needs: Grant): Problem => ({
    path,
    message: `asks for ${what}; project ${project} does not allow ${needs}: berth project policy --project ${project} --allow ${needs}`,
  });
  const ofServices = Object.entries(services).flatMap(([name, spec]) =>
    RULES.filter((rule) => !allowed.has(rule.needs)).flatMap((rule) =>
      rule.places(spec).map((place) => denied(`services.${name}.${place}`, rule.what, rule.needs)),
    ),
  );
  if (allowed.has("host-mounts")) return ofServices;
  const ofVolumes = Object.entries(volumes)
    .filter(([, volume]) => showsHostPath(volume))
    .map(([name]) => denied(`volumes.${name}.driver_opts`, "a path of its host", "host-mounts"));
  return [...ofServices, ...ofVolumes];
}

/** The engine's local driver hands its options to mount(2): a bind or a disk is a path of the host. */
function showsHostPath({ driver, driverOptions }: VolumeSpec): boolean {
  if (driver !== undefined && driver !== "local") return false;
  const { type = "", device, o = "" } = driverOptions;
  if (o.split(",").some((word) => HOST_MOUNT_WORDS.has(word.trim()))) return true;
  return (device !== undefined || type !== "") && !FOREIGN_FILE_SYSTEMS.has(type);
}
