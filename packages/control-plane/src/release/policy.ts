/**
 * What a project's policy must allow: whatever gives a container power over its host. Each rule names the
 * key of the file that asks for it.
 */

import type { ServiceSpec, StackSpec, VolumeSpec } from "@berth/protocol";
import type { Policy } from "../settings.ts";
import type { Problem } from "./claims.ts";

interface PolicyRule {
  readonly needs: keyof Policy;
  /** Places below the service that ask for it. */
  readonly places: (spec: ServiceSpec) => readonly string[];
  readonly what: string;
}

/** Sockets of container engines: whoever has one is root on the host. */
const ENGINE_SOCKET = /(^|\/)(docker|podman|containerd|crio)\.sock$/;
/** Capabilities that amount to `privileged`. */
const POWERFUL = new Set(["ALL", "SYS_ADMIN", "SYS_MODULE", "SYS_RAWIO", "SYS_PTRACE", "BPF"]);

/** Takes away what stands between a container and its kernel. */
const UNCONFINED = /[=:](unconfined|disable)$/i;
/** File systems that the engine's local driver mounts from elsewhere, or in memory: nothing of the host. */
const FOREIGN_FILE_SYSTEMS = new Set(["nfs", "nfs4", "cifs", "tmpfs"]);
/** Words of mount options that make a mount of whatever type show a path of the host. */
const HOST_MOUNT_WORDS = new Set(["bind", "rbind", "move", "remount"]);

const RULES: readonly PolicyRule[] = [
  {
    needs: "privileged",
    places: (spec) => [
      ...(spec.engine.privileged ? ["privileged"] : []),
      ...(spec.engine.capAdd ?? [])
        .filter((capability) => POWERFUL.has(capability.toUpperCase().replace(/^CAP_/, "")))
        .map((capability) => `cap_add.${capability}`),
      ...(spec.engine.securityOptions ?? []).flatMap((option, index) =>
        UNCONFINED.test(option) ? [`security_opt[${index}]`] : [],
      ),
    ],
    what: "full power over its host",
  },
  {
    needs: "engineSocket",
    places: (spec) =>
      hostSources(spec).flatMap(([place, source]) => (ENGINE_SOCKET.test(source) ? [place] : [])),
    what: "the container engine's socket",
  },
  {
    needs: "hostMounts",
    places: (spec) =>
      hostSources(spec).flatMap(([place, source]) => (ENGINE_SOCKET.test(source) ? [] : [place])),
    what: "a path of its host",
  },
  {
    needs: "devices",
    places: (spec) => ((spec.engine.devices ?? []).length > 0 ? ["devices"] : []),
    what: "devices of its host",
  },
  {
    needs: "hostNamespaces",
    places: (spec) => [
      ...(spec.networkMode === "host" ? ["network_mode"] : []),
      ...(spec.engine.pidMode === "host" ? ["pid"] : []),
      ...(spec.engine.ipcMode === "host" ? ["ipc"] : []),
      ...(spec.engine.usernsMode === "host" ? ["userns_mode"] : []),
      ...(spec.engine.utsMode === "host" ? ["uts"] : []),
    ],
    what: "a namespace of its host",
  },
];

function hostSources(spec: ServiceSpec): (readonly [string, string])[] {
  return spec.mounts.flatMap((mount, index) =>
    mount.kind === "host" ? [[`volumes[${index}]`, mount.source] as const] : [],
  );
}

/** What the policy does not allow; empty when all is allowed. */
export function policyProblems(
  { services, volumes }: Pick<StackSpec, "services" | "volumes">,
  policy: Policy,
): Problem[] {
  const ofServices = Object.entries(services).flatMap(([name, spec]) =>
    RULES.filter((rule) => !policy[rule.needs]).flatMap((rule) =>
      rule.places(spec).map((place) => ({
        path: `services.${name}.${place}`,
        message: `asks for ${rule.what}; the project's policy does not allow ${rule.needs}`,
      })),
    ),
  );
  if (policy.hostMounts) return ofServices;
  const ofVolumes = Object.entries(volumes)
    .filter(([, volume]) => showsHostPath(volume))
    .map(([name]) => ({
      path: `volumes.${name}.driver_opts`,
      message: "asks for a path of its host; the project's policy does not allow hostMounts",
    }));
  return [...ofServices, ...ofVolumes];
}

/** The engine's local driver hands its options to mount(2): a bind or a disk is a path of the host. */
function showsHostPath({ driver, driverOptions }: VolumeSpec): boolean {
  if (driver !== undefined && driver !== "local") return false;
  const { type = "", device, o = "" } = driverOptions;
  if (o.split(",").some((word) => HOST_MOUNT_WORDS.has(word.trim()))) return true;
  return (device !== undefined || type !== "") && !FOREIGN_FILE_SYSTEMS.has(type);
}
