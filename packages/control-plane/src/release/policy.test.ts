/** The policy: every way to power over the host that a stack file has words for is refused by its key. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { ServiceSpec, VolumeSpec } from "@berth/protocol";
import { DENY_ALL, type Policy } from "../settings.ts";
import { EXCLUSIVE_VOLUME, serviceSpec } from "../testing/specs.ts";
import { policyProblems } from "./policy.ts";

const ALLOW_ALL: Policy = {
  privileged: true,
  hostMounts: true,
  engineSocket: true,
  devices: true,
  hostNamespaces: true,
};

function placesOf(
  engine: ServiceSpec["engine"],
  volume: Partial<VolumeSpec> = {},
  policy: Policy = DENY_ALL,
): readonly string[] {
  const services = { web: serviceSpec({ engine }) };
  const volumes = { data: { ...EXCLUSIVE_VOLUME, ...volume } };
  return policyProblems({ services, volumes }, policy).map(({ path }) => path);
}

test("an ordinary service asks for nothing", () => {
  assert.deepEqual(placesOf({ capAdd: ["NET_BIND_SERVICE"] }), []);
  assert.deepEqual(placesOf({ securityOptions: ["no-new-privileges:true"] }), []);
});

test("what takes the walls away needs privileged", () => {
  const rows: readonly (readonly [ServiceSpec["engine"], string])[] = [
    [{ privileged: true }, "services.web.privileged"],
    [{ capAdd: ["CAP_sys_admin"] }, "services.web.cap_add.CAP_sys_admin"],
    [{ securityOptions: ["seccomp=unconfined"] }, "services.web.security_opt[0]"],
    [{ securityOptions: ["apparmor:unconfined"] }, "services.web.security_opt[0]"],
    [{ securityOptions: ["label=disable"] }, "services.web.security_opt[0]"],
    [{ securityOptions: ["systempaths=unconfined"] }, "services.web.security_opt[0]"],
  ];
  for (const [engine, place] of rows) {
    assert.deepEqual(placesOf(engine), [place]);
    assert.deepEqual(placesOf(engine, {}, { ...DENY_ALL, privileged: true }), []);
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
    assert.deepEqual(placesOf({}, { driverOptions }, { ...DENY_ALL, hostMounts: true }), []);
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
