/** The policy: every way to power over the host that a stack file has words for is refused by its key. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { GRANTS, type Grant, type ServiceSpec, type VolumeSpec } from "@berth/protocol";
import { EXCLUSIVE_VOLUME, serviceSpec } from "../testing/specs.ts";
import { policyProblems } from "./policy.ts";

const ALLOW_ALL = new Set(Object.keys(GRANTS) as Grant[]);
const NOTHING: ReadonlySet<Grant> = new Set();

function placesOf(
  engine: ServiceSpec["engine"],
  volume: Partial<VolumeSpec> = {},
  allowed: ReadonlySet<Grant> = NOTHING,
): readonly string[] {
  const services = { web: serviceSpec({ engine }) };
  const volumes = { data: { ...EXCLUSIVE_VOLUME, ...volume } };
  return policyProblems({ services, volumes }, allowed, "shop").map(({ path }) => path);
}

test("an ordinary service asks for nothing", () => {
  assert.deepEqual(placesOf({ capAdd: ["NET_BIND_SERVICE"] }), []);
  assert.deepEqual(placesOf({ securityOptions: ["no-new-privileges:true"] }), []);
});

test("what takes the walls away needs privileged", () => {
  const rows: readonly (readonly [ServiceSpec["engine"], string])[] = [
    [{ privileged: true }, "services.web.privileged"],
    [{ capAdd: ["CAP_sys_admin"] }, "services.web.cap_add.CAP_sys_admin"],
    [{ capAdd: ["SYS_TIME"] }, "services.web.cap_add.SYS_TIME"],
    [{ capAdd: ["DAC_READ_SEARCH"] }, "services.web.cap_add.DAC_READ_SEARCH"],
    [{ cgroupParent: "/elsewhere" }, "services.web.cgroup_parent"],
    [{ securityOptions: ["seccomp=unconfined"] }, "services.web.security_opt[0]"],
    [{ securityOptions: ["apparmor:unconfined"] }, "services.web.security_opt[0]"],
    [{ securityOptions: ["label=disable"] }, "services.web.security_opt[0]"],
    [{ securityOptions: ["systempaths=unconfined"] }, "services.web.security_opt[0]"],
  ];
  for (const [engine, place] of rows) {
    assert.deepEqual(placesOf(engine), [place]);
    assert.deepEqual(placesOf(engine, {}, new Set(["privileged"] as const)), []);
  }
});

test("a hook with privileges needs them, too", () => {
  const hook = { command: ["true"], privileged: true };
  const web = serviceSpec({ preStop: [["true"], hook], postStart: [hook] });
  const problems = policyProblems({ services: { web }, volumes: {} }, NOTHING, "shop");
  assert.deepEqual(
    problems.map(({ path }) => path),
    ["services.web.post_start[0]", "services.web.pre_stop[1]"],
  );
});

test("rules and drivers of devices are devices; foreign containers are namespaces", () => {
  const rows: readonly (readonly [ServiceSpec["engine"], string, Grant])[] = [
    [{ deviceCgroupRules: ["a *:* rwm"] }, "services.web.device_cgroup_rules", "devices"],
    [{ deviceRequests: [{ capabilities: ["gpu"], options: {} }] }, "services.web.gpus", "devices"],
    [{ pidMode: "container:abc" }, "services.web.pid", "host-namespaces"],
    [{ ipcMode: "container:abc" }, "services.web.ipc", "host-namespaces"],
    [{ cgroupMode: "host" }, "services.web.cgroup", "host-namespaces"],
  ];
  for (const [engine, place, grant] of rows) {
    assert.deepEqual(placesOf(engine), [place]);
    assert.deepEqual(placesOf(engine, {}, new Set([grant])), []);
  }
});

test("options of the local driver that show a path of the host need hostMounts", () => {
  const shown: readonly Readonly<Record<string, string>>[] = [
    { type: "none", o: "bind", device: "/etc" },
    { o: "rw,rbind", device: "/etc" },
    { type: "nfs", o: "addr=10.0.0.1,bind", device: "/etc" },
    { type: "ext4", device: "/dev/sda1" },
    { type: "overlay", o: "lowerdir=/etc:/usr" },
    { device: "/etc" },
  ];
  for (const driverOptions of shown) {
    assert.deepEqual(placesOf({}, { driverOptions }), ["volumes.data.driver_opts"]);
    assert.deepEqual(placesOf({}, { driver: "local", driverOptions }).length, 1);
    assert.deepEqual(placesOf({}, { driverOptions }, new Set(["host-mounts"] as const)), []);
  }
});

test("file systems from elsewhere and drivers of their own are no paths of the host", () => {
  const free: readonly Partial<VolumeSpec>[] = [
    { driverOptions: {} },
    { driverOptions: { type: "nfs", o: "addr=10.0.0.1,rw", device: ":/export" } },
    { driverOptions: { type: "tmpfs", o: "size=64m", device: "tmpfs" } },
    { driver: "rexray", driverOptions: { size: "10", device: "/dev/x" } },
  ];
  for (const volume of free) assert.deepEqual(placesOf({}, volume), []);
});

test("a policy that allows all refuses nothing", () => {
  const driverOptions = { o: "bind", device: "/" };
  assert.deepEqual(placesOf({ privileged: true }, { driverOptions }, ALLOW_ALL), []);
});
