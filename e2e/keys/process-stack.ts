/** One process with nearly everything that can be said of a process. */

import assert from "node:assert/strict";
import { readFileSync, readlinkSync, statSync } from "node:fs";
import type { KeyStack } from "./scene.ts";

/** Ready at once, gone at once, and so small that dozens fit beside each other. */
export const QUICK = "x-berth: {min_healthy: 0s, drain: 0s, requests: {cpus: 0.001, memory: 2m}}";
/** The same for what runs to its end. */
export const SMALL = "x-berth: {requests: {cpus: 0.001, memory: 2m}}";

/** Bytes that shells, YAML and `.env` files like to mangle. */
const NASTY = `a'b"c $d \\e\tf {"g": [1]} %h #i =j`;

export const PROCESS: KeyStack = {
  name: "process",
  environment: { FROM_SHELL: "of the shell" },
  files: {
    "one.env": "FROM_FILE=one\nBOTH=file\n",
    "raw.env": "RAW='kept as it is' # this too\n",
    labels: "of.file=yes\nboth=file\n",
  },
  compose: `
services:
  all:
    ${QUICK}
    image: berth/busybox
    entrypoint: ["/bin/sh", "-c"]
    command: ["trap 'echo got USR1; sleep 0.2; exit 0' USR1; while :; do sleep 0.1; done"]
    user: "1000:1001"
    group_add: ["1234", 1235]
    working_dir: /srv/work
    init: true
    read_only: true
    hostname: machine
    domainname: example.test
    stop_signal: SIGUSR1
    stop_grace_period: 7s
    environment:
      NASTY: ${JSON.stringify(NASTY.replaceAll("$", "$$$$"))}
      EMPTY: ""
      BOTH: environment
      FROM_SHELL:
      UNSET_EVERYWHERE:
    env_file: [./one.env, {path: ./raw.env, format: raw}, {path: ./missing.env, required: false}]
    labels: {nasty: ${JSON.stringify(NASTY.replaceAll("$", "$$$$"))}, both: labels}
    label_file: ./labels
    annotations: {note: annotated}
    extra_hosts: ["db.example:10.1.2.3", "second.example=10.1.2.4"]
    dns: [10.9.9.9]
    dns_search: [corp.example]
    dns_opt: ["timeout:3"]
    tmpfs: ["/scratch:size=1m,mode=1750,uid=1000,exec", /plain]
    shm_size: 32m
    cap_add: [NET_ADMIN]
    cap_drop: [MKNOD, CHOWN]
    security_opt: ["no-new-privileges:true"]
    sysctls: {net.core.somaxconn: 777}
    ulimits: {nofile: {soft: 1000, hard: 2000}, nproc: 500}
    pids_limit: 77
    cpus: 0.5
    cpuset: "0"
    cpu_shares: 512
    mem_limit: 64m
    mem_reservation: 32m
    memswap_limit: 96m
    mem_swappiness: 10
    oom_kill_disable: true
    oom_score_adj: 300
    platform: linux/amd64
    runtime: runc
    ipc: shareable
    cgroup: private
    cgroup_parent: /berth-keys
    devices: ["/dev/null:/dev/mine:rw", {source: /dev/zero, target: /dev/nought, permissions: r}]
    device_cgroup_rules: ["c 10:229 rw"]
  period:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    cpu_quota: 25000
    cpu_period: 50000
  limited:
    x-berth: {min_healthy: 0s, drain: 0s}
    image: berth/busybox
    command: sleep 100000
    privileged: false
    pull_policy: never
    deploy:
      labels: {of.deploy: "yes"}
      resources: {limits: {cpus: "0.25", memory: 48m, pids: 55}, reservations: {cpus: "0.125", memory: 24m}}
  terminal:
    ${QUICK}
    image: berth/busybox
    command: sh
    tty: true
    stdin_open: true
  texts:
    ${QUICK}
    image: berth/busybox
    entrypoint: sh -c 'exec sleep "$$0"'
    command: "100001"
  host:
    ${QUICK}
    image: berth/busybox
    command: sleep 100000
    network_mode: host
    pid: host
    uts: host
    ipc: host
    userns_mode: host
    cgroup: host
`,
  checks: [
    {
      keys: ["services.*.image", "services.*.entrypoint", "services.*.command"],
      says: "entrypoint and command as lists are the words of the process",
      look: (at) => {
        const { Path, Args } = at.container("all");
        assert.deepEqual([Path, Args[0], Args[1]?.slice(0, 4)], ["/bin/sh", "-c", "trap"]);
      },
    },
    {
      keys: ["services.*.entrypoint", "services.*.command"],
      says: "entrypoint and command as texts are split as a shell does, and dollars are kept",
      look: (at) => {
        const { Path, Args } = at.container("texts");
        assert.deepEqual([Path, ...Args], ["sh", "-c", 'exec sleep "$0"', "100001"]);
        assert.equal(at.proc("texts", "cmdline"), "sleep 100001");
      },
    },
    {
      keys: ["services.*.user", "services.*.group_add"],
      says: "the process has the user, the group and the further groups",
      look: (at) => {
        assert.equal(at.status("all", "Uid").split("\t")[0], "1000");
        assert.equal(at.status("all", "Gid").split("\t")[0], "1001");
        assert.deepEqual(at.status("all", "Groups").trim().split(" ").slice(-2), ["1234", "1235"]);
      },
    },
    {
      keys: ["services.*.working_dir"],
      says: "the process runs in its folder",
      look: (at) => {
        const pid = at.container("all").State.Pid;
        assert.equal(readlinkSync(`/proc/${pid}/cwd`), "/srv/work");
      },
    },
    {
      keys: ["services.*.init"],
      says: "an init is the first process",
      look: (at) => assert.match(at.proc("all", "cmdline"), /docker-init|tini/),
    },
    {
      keys: ["services.*.read_only"],
      says: "the root cannot be written to",
      look: (at) => assert.match(at.try("all", "touch /x"), /Read-only file system/),
    },
    {
      keys: ["services.*.hostname", "services.*.domainname"],
      says: "the kernel has the host's and the domain's name",
      look: (at) => {
        assert.equal(at.inside("all", "cat", "/proc/sys/kernel/hostname"), "machine");
        assert.equal(at.inside("all", "cat", "/proc/sys/kernel/domainname"), "example.test");
      },
    },
    {
      keys: ["services.*.stop_grace_period", "services.*.stop_signal"],
      says: "the engine knows signal and grace",
      look: (at) => {
        const { StopSignal, StopTimeout } = at.container("all").Config;
        assert.deepEqual([StopSignal, StopTimeout], ["SIGUSR1", 7]);
      },
    },
    {
      keys: [
        "services.*.environment",
        "services.*.env_file.path",
        "services.*.env_file.required",
        "services.*.env_file.format",
      ],
      says: "the process has every variable byte for byte, and none that is not set",
      look: (at) => {
        const { Pid } = at.container("all").State;
        const text = readFileSync(`/proc/${Pid}/environ`, "utf8");
        const names = ["NASTY", "EMPTY", "BOTH", "FROM_SHELL", "FROM_FILE", "RAW"];
        const found = new Map(
          text.split("\0").map((word) => {
            const at = word.indexOf("=");
            return [word.slice(0, at), word.slice(at + 1)] as const;
          }),
        );
        assert.deepEqual(
          names.map((name) => found.get(name)),
          [NASTY, "", "environment", "of the shell", "one", "'kept as it is' # this too"],
        );
        assert.equal(found.has("UNSET_EVERYWHERE"), false);
      },
    },
    {
      keys: ["services.*.labels", "services.*.label_file"],
      says: "the container has the labels byte for byte, the file's below the service's own",
      look: (at) => {
        const { Labels } = at.container("all").Config;
        assert.deepEqual(
          [Labels["nasty"], Labels["both"], Labels["of.file"]],
          [NASTY, "labels", "yes"],
        );
      },
    },
    {
      keys: ["services.*.deploy.labels"],
      says: "labels of deploy are on the containers, too",
      look: (at) => assert.equal(at.container("limited").Config.Labels["of.deploy"], "yes"),
    },
    {
      keys: ["services.*.extra_hosts"],
      says: "the hosts file has the further hosts",
      look: (at) => {
        const hosts = at.inside("all", "cat", "/etc/hosts");
        assert.match(hosts, /10\.1\.2\.3\s+db\.example/);
        assert.match(hosts, /10\.1\.2\.4\s+second\.example/);
      },
    },
    {
      keys: ["services.*.dns", "services.*.dns_search", "services.*.dns_opt"],
      says: "the resolver has the file's servers behind ours, its search list and its options",
      look: (at) => {
        const lines = at.inside("all", "cat", "/etc/resolv.conf").split("\n");
        assert.equal(
          lines.filter((line) => line.startsWith("nameserver")).at(-1),
          "nameserver 10.9.9.9",
        );
        assert.ok(
          lines.some((line) => /^search .*\bcorp\.example\b/.test(line)),
          lines.join("|"),
        );
        assert.ok(
          lines.some((line) => /^options .*\btimeout:3\b/.test(line)),
          lines.join("|"),
        );
      },
    },
    {
      keys: ["services.*.tmpfs"],
      says: "file systems in memory have size, mode, owner and words of mount",
      look: (at) => {
        const mounts = at.proc("all", "mounts").split("\n");
        const scratch = mounts.find((line) => line.includes(" /scratch ")) ?? "";
        assert.match(scratch, /^tmpfs .*size=1024k.*mode=1750.*uid=1000/);
        assert.doesNotMatch(scratch, /noexec/);
        assert.match(mounts.find((line) => line.includes(" /plain ")) ?? "", /^tmpfs .*noexec/);
      },
    },
    {
      keys: ["services.*.shm_size"],
      says: "shared memory has its size",
      look: (at) => {
        const line = at
          .proc("all", "mounts")
          .split("\n")
          .find((each) => each.includes(" /dev/shm "));
        assert.match(line ?? "", /size=32768k/);
      },
    },
    {
      keys: ["services.*.cap_add", "services.*.cap_drop"],
      says: "the bounding set has what was added and lacks what was dropped",
      look: (at) => {
        const set = BigInt(`0x${at.status("all", "CapBnd")}`);
        const has = (bit: number) => (set >> BigInt(bit)) % 2n === 1n;
        // NET_ADMIN 12, MKNOD 27, CHOWN 0, and KILL 5, of which nothing was said.
        assert.deepEqual([has(12), has(27), has(0), has(5)], [true, false, false, true]);
      },
    },
    {
      keys: ["services.*.security_opt"],
      says: "the process can gain no privileges",
      look: (at) => assert.equal(at.status("all", "NoNewPrivs"), "1"),
    },
    {
      keys: ["services.*.sysctls"],
      says: "the kernel's setting is that of the file, inside only",
      look: (at) => {
        assert.equal(at.inside("all", "cat", "/proc/sys/net/core/somaxconn"), "777");
        assert.notEqual(readFileSync("/proc/sys/net/core/somaxconn", "utf8").trim(), "777");
      },
    },
    {
      keys: ["services.*.ulimits.*.soft", "services.*.ulimits.*.hard"],
      says: "the kernel's limits are soft and hard as the file says, also as one number",
      look: (at) => {
        const limits = at.proc("all", "limits");
        assert.match(limits, /Max open files\s+1000\s+2000/);
        assert.match(limits, /Max processes\s+500\s+500/);
      },
    },
    {
      keys: ["services.*.pids_limit", "services.*.deploy.resources.limits.pids"],
      says: "control groups bound the number of processes",
      look: (at) => {
        assert.equal(at.cgroup("all", "pids", "pids.max", "pids.max"), "77");
        assert.equal(at.cgroup("limited", "pids", "pids.max", "pids.max"), "55");
      },
    },
    {
      keys: ["services.*.cpus", "services.*.deploy.resources.limits.cpus"],
      says: "control groups bound the processor's time",
      look: (at) => {
        const quota = (service: string) =>
          at.cgroup(service, "cpu", "cpu.cfs_quota_us", "cpu.max").split(" ")[0];
        assert.deepEqual([quota("all"), quota("limited")], ["50000", "25000"]);
      },
    },
    {
      keys: ["services.*.cpu_quota", "services.*.cpu_period"],
      says: "quota and period are the file's own",
      look: (at) => {
        const { CpuPeriod, CpuQuota } = at.container("period").HostConfig;
        assert.deepEqual([CpuPeriod, CpuQuota], [50_000, 25_000]);
        assert.match(at.cgroup("period", "cpu", "cpu.cfs_period_us", "cpu.max"), /50000$/);
      },
    },
    {
      keys: ["services.*.cpuset"],
      says: "the process may run on the processors of its set only",
      look: (at) => assert.equal(at.status("all", "Cpus_allowed_list"), "0"),
    },
    {
      keys: ["services.*.cpu_shares"],
      says: "control groups have the shares",
      look: (at) => {
        assert.equal(at.container("all").HostConfig["CpuShares"], 512);
        assert.match(at.cgroup("all", "cpu", "cpu.shares", "cpu.weight"), /^(512|20)$/);
      },
    },
    {
      keys: ["services.*.mem_limit", "services.*.deploy.resources.limits.memory"],
      says: "control groups bound the memory",
      look: (at) => {
        const limit = (service: string) =>
          at.cgroup(service, "memory", "memory.limit_in_bytes", "memory.max");
        assert.deepEqual([limit("all"), limit("limited")], ["67108864", "50331648"]);
      },
    },
    {
      keys: ["services.*.mem_reservation"],
      says: "control groups know the reservation",
      look: (at) =>
        assert.equal(
          at.cgroup("all", "memory", "memory.soft_limit_in_bytes", "memory.low"),
          "33554432",
        ),
    },
    {
      keys: ["services.*.memswap_limit"],
      says: "control groups bound memory and swap",
      look: (at) => {
        assert.equal(at.container("all").HostConfig["MemorySwap"], 100_663_296);
        const bytes = at.cgroup("all", "memory", "memory.memsw.limit_in_bytes", "memory.swap.max");
        assert.match(bytes, /^(100663296|33554432)$/);
      },
    },
    {
      keys: ["services.*.mem_swappiness", "services.*.oom_kill_disable"],
      says: "the engine has swappiness and the killer's switch, the kernel where it knows them",
      look: (at) => {
        const { MemorySwappiness, OomKillDisable } = at.container("all").HostConfig;
        assert.deepEqual([MemorySwappiness, OomKillDisable], [10, true]);
        if (at.proc("all", "cgroup").split("\n").length === 1) return;
        assert.equal(at.cgroup("all", "memory", "memory.swappiness", "-"), "10");
        assert.match(at.cgroup("all", "memory", "memory.oom_control", "-"), /oom_kill_disable 1/);
      },
    },
    {
      keys: ["services.*.oom_score_adj"],
      says: "the kernel has the score",
      look: (at) => assert.equal(at.proc("all", "oom_score_adj"), "300"),
    },
    {
      keys: [
        "services.*.deploy.resources.reservations.cpus",
        "services.*.deploy.resources.reservations.memory",
      ],
      says: "reservations are what the scheduler keeps free",
      look: async (at) => {
        const row = (await at.tasks()).find(({ task }) => task.service === "limited");
        assert.deepEqual(row?.task.requests, { cpuMillis: 125, memoryBytes: 25_165_824 });
      },
    },
    {
      keys: ["services.*.platform", "services.*.runtime", "services.*.annotations"],
      says: "platform and runtime are the engine's, annotations where it knows them",
      look: (at) => {
        const { Runtime, Annotations } = at.container("all").HostConfig;
        assert.equal(Runtime, "runc");
        assert.ok(Annotations === undefined || JSON.stringify(Annotations).includes("annotated"));
      },
    },
    {
      keys: ["services.*.cgroup"],
      says: "the view of the control groups is the container's own, or the host's",
      look: (at) => {
        const own = (service: string) =>
          readlinkSync(`/proc/${at.container(service).State.Pid}/ns/cgroup`);
        assert.notEqual(own("all"), readlinkSync("/proc/self/ns/cgroup"));
        assert.equal(own("host"), readlinkSync("/proc/self/ns/cgroup"));
      },
    },
    {
      keys: ["services.*.cgroup_parent"],
      says: "its control group lies below the parent",
      look: (at) => assert.match(at.proc("all", "cgroup"), /:\/berth-keys\//),
    },
    {
      keys: [
        "services.*.network_mode",
        "services.*.pid",
        "services.*.uts",
        "services.*.ipc",
        "services.*.userns_mode",
      ],
      says: "namespaces of the host are shared where the file says so, and only there",
      look: (at) => {
        const shared = (service: string) =>
          ["net", "pid", "uts", "ipc", "user"].filter(
            (kind) =>
              readlinkSync(`/proc/${at.container(service).State.Pid}/ns/${kind}`) ===
              readlinkSync(`/proc/self/ns/${kind}`),
          );
        assert.deepEqual(shared("host"), ["net", "pid", "uts", "ipc", "user"]);
        assert.deepEqual(shared("all"), ["user"]);
        assert.equal(at.container("host").HostConfig["UsernsMode"], "host");
        assert.equal(at.container("all").HostConfig["IpcMode"], "shareable");
      },
    },
    {
      keys: [
        "services.*.devices.source",
        "services.*.devices.target",
        "services.*.devices.permissions",
      ],
      says: "devices are there, and what may be done with them is what the file says",
      look: (at) => {
        const { Pid } = at.container("all").State;
        assert.equal(statSync(`/proc/${Pid}/root/dev/mine`).rdev, statSync("/dev/null").rdev);
        assert.equal(statSync(`/proc/${Pid}/root/dev/nought`).rdev, statSync("/dev/zero").rdev);
        const devices = at.container("all").HostConfig["Devices"];
        assert.deepEqual(devices, [
          { PathOnHost: "/dev/null", PathInContainer: "/dev/mine", CgroupPermissions: "rw" },
          { PathOnHost: "/dev/zero", PathInContainer: "/dev/nought", CgroupPermissions: "r" },
        ]);
      },
    },
    {
      keys: ["services.*.device_cgroup_rules"],
      says: "control groups allow the further devices",
      look: (at) => {
        assert.deepEqual(at.container("all").HostConfig["DeviceCgroupRules"], ["c 10:229 rw"]);
        if (at.proc("all", "cgroup").split("\n").length === 1) return;
        assert.match(at.cgroup("all", "devices", "devices.list", "-"), /c 10:229 rw/);
      },
    },
    {
      keys: ["services.*.tty", "services.*.stdin_open"],
      says: "a terminal is there, and a shell waits at it",
      look: (at) => {
        const { Tty, OpenStdin } = at.container("terminal").Config;
        assert.deepEqual([Tty, OpenStdin], [true, true]);
        const pid = at.container("terminal").State.Pid;
        assert.match(readlinkSync(`/proc/${pid}/fd/0`), /^\/dev\/(pts\/|console)/);
      },
    },
    {
      keys: ["services.*.privileged", "services.*.pull_policy"],
      says: "false is no privilege, and never takes the image that is there",
      look: (at) => assert.equal(at.container("limited").HostConfig["Privileged"], false),
    },
  ],
};
