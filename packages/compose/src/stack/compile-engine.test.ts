/** Limits, requests, and what goes to the engine as it is. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { compileWeb } from "./compile-sample.ts";

test("limits: the newer and the older keys; zero and -1 processes are no limit", () => {
  const of = (lines: string) => compileWeb(lines).web.limits;
  assert.deepEqual(of("tty: false"), {});
  assert.deepEqual(of("cpus: 1.5\nmem_limit: 64m\npids_limit: 20"), {
    cpuMillis: 1_500,
    memoryBytes: 67_108_864,
    pids: 20,
  });
  assert.deepEqual(of("deploy: {resources: {limits: {cpus: '0.5', memory: 1g, pids: 9}}}"), {
    cpuMillis: 500,
    memoryBytes: 1_073_741_824,
    pids: 9,
  });
  assert.deepEqual(of("cpu_quota: 50000\ncpu_period: 100000"), { cpuMillis: 500 });
  assert.deepEqual(of("pids_limit: -1"), {});
  assert.deepEqual(of("deploy: {resources: {limits: {pids: 0}}}"), {});
});

test("requests: x-berth, then reservations; never more than the limit", () => {
  const of = (lines: string) => compileWeb(lines).web.requests;
  assert.deepEqual(of("mem_reservation: 32m"), { memoryBytes: 33_554_432 });
  assert.deepEqual(
    of(
      "x-berth: {requests: {cpus: 2}}\ndeploy: {resources: {reservations: {cpus: '1', memory: 1m}}}",
    ),
    { cpuMillis: 2_000, memoryBytes: 1_048_576 },
  );
  assert.match(
    compileWeb("mem_limit: 1m\nmem_reservation: 2m").said.join(),
    /^error services.web: sets aside more memory/,
  );
});

test("engine options arrive one to one", () => {
  const { web } = compileWeb(`hostname: h
user: "1000:1000"
working_dir: /w
init: true
read_only: true
cap_add: [NET_ADMIN]
cap_drop: [ALL]
security_opt: ["no-new-privileges:true"]
sysctls: {net.core.somaxconn: 1024}
ulimits: {nofile: {soft: 10, hard: 20}, nproc: 5}
extra_hosts: ["a:10.0.0.1"]
dns: 9.9.9.9
shm_size: 64m
devices: ["/dev/fuse", "/dev/a:/dev/b:r"]
stop_signal: SIGINT
labels: {a: b}
pid: host
oom_score_adj: 100`);
  assert.deepEqual(web.engine, {
    hostname: "h",
    user: "1000:1000",
    workingDir: "/w",
    init: true,
    readOnlyRoot: true,
    capAdd: ["NET_ADMIN"],
    capDrop: ["ALL"],
    securityOptions: ["no-new-privileges:true"],
    stopSignal: "SIGINT",
    labels: { a: "b" },
    devices: [
      { source: "/dev/fuse", target: "/dev/fuse", permissions: "rwm" },
      { source: "/dev/a", target: "/dev/b", permissions: "r" },
    ],
    sysctls: { "net.core.somaxconn": "1024" },
    extraHosts: ["a:10.0.0.1"],
    dnsServers: ["9.9.9.9"],
    shmSizeBytes: 67_108_864,
    pidMode: "host",
    ulimits: { nofile: { soft: 10, hard: 20 }, nproc: { soft: 5, hard: 5 } },
    oomScoreAdjust: 100,
  });
});

test("disks' limits, the period of the processor limit, rules and drivers of devices", () => {
  const { web } = compileWeb(`cpu_quota: 25000
cpu_period: 50000
cpu_rt_runtime: 1000
cpu_rt_period: 2000
cgroup: private
device_cgroup_rules: ["c 1:3 rw"]
gpus: [{count: 2}]
blkio_config:
  weight: 300
  weight_device: [{path: /dev/a, weight: 400}]
  device_read_bps: [{path: /dev/a, rate: 1mb}]
  device_write_iops: [{path: /dev/a, rate: 30}]
deploy:
  resources:
    reservations:
      devices: [{capabilities: [tpu], driver: acme, device_ids: ["0", "3"]}]
      generic_resources: [{discrete_resource_spec: {kind: license, value: 3}}]`);
  assert.deepEqual(web.engine, {
    labels: {},
    cgroupMode: "private",
    deviceCgroupRules: ["c 1:3 rw"],
    deviceRequests: [
      { count: 2, capabilities: ["gpu"], options: {} },
      { driver: "acme", ids: ["0", "3"], capabilities: ["tpu"], options: {} },
    ],
    cpuPeriodMicros: 50_000,
    cpuRealtimePeriodMicros: 2_000,
    cpuRealtimeRuntimeMicros: 1_000,
    blkioWeight: 300,
    blkioWeightDevice: [{ path: "/dev/a", weight: 400 }],
    blkioReadBps: [{ path: "/dev/a", rate: 1_048_576 }],
    blkioWriteIops: [{ path: "/dev/a", rate: 30 }],
  });
  assert.deepEqual(web.limits, { cpuMillis: 500 });
  assert.deepEqual(web.countables, { license: 3, gpu: 2 });
});

test("all graphics processors are one to the scheduler, named ones as many as there are", () => {
  const of = (lines: string) => compileWeb(lines).web.countables;
  assert.deepEqual(of("gpus: all"), { gpu: 1 });
  assert.deepEqual(of('gpus: [{device_ids: ["0", "1"]}]'), { gpu: 2 });
  assert.equal(of("tty: true"), undefined);
});
