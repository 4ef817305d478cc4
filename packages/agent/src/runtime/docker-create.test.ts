import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ProtocolError } from "@berth/protocol";
import { createCall } from "./docker-create.ts";
import { type ContainerRequest, LABEL_CLUSTER } from "./port.ts";

const NO_DEFAULTS = { entrypoint: [] };
const OLD = "1.41";
const NEW = "1.48";

function request(changes: Partial<ContainerRequest> = {}): ContainerRequest {
  return {
    name: "t1",
    labels: { [LABEL_CLUSTER]: "c" },
    imageId: "sha256:1",
    environment: {},
    engine: {},
    limits: {},
    mounts: [],
    network: { kind: "none" },
    stopGraceMs: 1_500,
    ...changes,
  };
}

/** What goes over the wire: without the fields that are not given. */
function wire(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value));
}

function hostConfig(body: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return body["HostConfig"] as Record<string, unknown>;
}

const TWO_NETWORKS: ContainerRequest["network"] = {
  kind: "networks",
  attachments: [
    { networkId: "0a", address: "10.0.1.2", mac: "02:42:0a:00:01:02" },
    { networkId: "0b", address: "10.0.2.2", mac: "02:42:0a:00:02:02" },
  ],
};

describe("the Engine's create body", () => {
  it("asks for no restarts, no health check of the image, and bounded output", () => {
    const { body } = createCall(request(), OLD, NO_DEFAULTS);
    assert.deepEqual(hostConfig(body)["RestartPolicy"], { Name: "no" });
    assert.deepEqual(body["Healthcheck"], { Test: ["NONE"] });
    assert.deepEqual(hostConfig(body)["LogConfig"], {
      Type: "json-file",
      Config: { "max-size": "16m", "max-file": "2" },
    });
    assert.equal(body["StopTimeout"], 2);
  });

  it("hands environment values over as they are", () => {
    const environment = { A: 'x="$B"\n', EMPTY: "", EQUALS: "a=b" };
    const { body } = createCall(request({ environment }), OLD, NO_DEFAULTS);
    assert.deepEqual(body["Env"], ['A=x="$B"\n', "EMPTY=", "EQUALS=a=b"]);
  });

  it("connects further networks afterwards where the engine takes one at a time", () => {
    const { body, later } = createCall(request({ network: TWO_NETWORKS }), OLD, NO_DEFAULTS);
    assert.equal(hostConfig(body)["NetworkMode"], "berth-c-0a");
    assert.equal(body["MacAddress"], "02:42:0a:00:01:02");
    assert.deepEqual(body["NetworkingConfig"], {
      EndpointsConfig: { "berth-c-0a": { IPAMConfig: { IPv4Address: "10.0.1.2" } } },
    });
    assert.deepEqual(later, [
      {
        network: "berth-c-0b",
        body: { EndpointConfig: { IPAMConfig: { IPv4Address: "10.0.2.2" } } },
      },
    ]);
  });

  it("refuses a MAC of its own where the engine would drop it", () => {
    const network = {
      kind: "networks",
      attachments: [
        { networkId: "0a", address: "10.0.1.2", mac: "02:00:00:00:00:01" },
        { networkId: "0b", address: "10.0.2.2", mac: "02:00:00:00:00:02" },
      ],
    } as const;
    assert.throws(() => createCall(request({ network }), OLD, NO_DEFAULTS), /first network only/);
    assert.doesNotThrow(() => createCall(request({ network }), NEW, NO_DEFAULTS));
  });

  it("names all networks with their MACs and the default route where it can", () => {
    const { body, later } = createCall(request({ network: TWO_NETWORKS }), NEW, NO_DEFAULTS);
    assert.deepEqual(later, []);
    assert.equal(body["MacAddress"], undefined);
    assert.deepEqual(wire(body["NetworkingConfig"]), {
      EndpointsConfig: {
        "berth-c-0a": {
          IPAMConfig: { IPv4Address: "10.0.1.2" },
          MacAddress: "02:42:0a:00:01:02",
          GwPriority: 1,
        },
        "berth-c-0b": {
          IPAMConfig: { IPv4Address: "10.0.2.2" },
          MacAddress: "02:42:0a:00:02:02",
          GwPriority: 0,
        },
      },
    });
  });

  it("names interfaces where it can, and says that it cannot elsewhere", () => {
    const { attachments } = TWO_NETWORKS;
    const [first, second] = attachments.map((each) => ({ ...each, interfaceName: "wan0" }));
    assert.ok(first !== undefined && second !== undefined);
    const named = request({ network: { kind: "networks", attachments: [first] } });
    const { body } = createCall(named, "1.49", NO_DEFAULTS);
    assert.match(
      JSON.stringify(body["NetworkingConfig"]),
      /"DriverOpts":\{"com\.docker\.network\.endpoint\.ifname":"wan0"\}/,
    );
    assert.throws(() => createCall(named, "1.48", NO_DEFAULTS), /name interfaces; Engine 28\.1/);
  });

  it("gives a guest of another's network no host name, which the engine would refuse", () => {
    const network = { kind: "container", containerId: "owner" } as const;
    const engine = { hostname: "web", dnsServers: ["10.0.0.1"] };
    const { body } = createCall(request({ network, engine }), OLD, NO_DEFAULTS);
    assert.equal(body["Hostname"], undefined);
    assert.equal(hostConfig(body)["Dns"], undefined);
    assert.equal(hostConfig(body)["NetworkMode"], "container:owner");
  });

  it("keeps an empty command empty by naming the image's entrypoint", () => {
    const image = { entrypoint: ["/start"] };
    const cleared = createCall(request({ command: [] }), OLD, image).body;
    assert.deepEqual([cleared["Entrypoint"], cleared["Cmd"]], [["/start"], []]);
    const given = createCall(request({ command: ["x"] }), OLD, image).body;
    assert.deepEqual([given["Entrypoint"], given["Cmd"]], [undefined, ["x"]]);
    const overridden = createCall(request({ entrypoint: [], command: [] }), OLD, image).body;
    assert.deepEqual(overridden["Entrypoint"], []);
  });

  it("lets our labels win over the file's", () => {
    const engine = { labels: { [LABEL_CLUSTER]: "forged", note: "kept" } };
    const { body } = createCall(request({ engine }), OLD, NO_DEFAULTS);
    assert.deepEqual(body["Labels"], { [LABEL_CLUSTER]: "c", note: "kept" });
  });

  it("writes limits and mounts in the engine's units", () => {
    const { body } = createCall(
      request({
        limits: { cpuMillis: 1_500, memoryBytes: 1_024, pids: 7 },
        mounts: [
          {
            kind: "volume",
            engineName: "v1",
            target: "/data",
            readOnly: false,
            noCopy: true,
          },
          { kind: "bind", source: "/run/x", target: "/etc/x", readOnly: true },
          { kind: "tmpfs", target: "/tmp", sizeBytes: 4_096, mode: 0o1777 },
        ],
        sharePidOf: "owner",
        shareVolumesOf: "owner",
      }),
      OLD,
      NO_DEFAULTS,
    );
    const host = hostConfig(body);
    assert.deepEqual(
      [host["NanoCpus"], host["Memory"], host["PidsLimit"]],
      [1_500_000_000, 1_024, 7],
    );
    assert.deepEqual([host["PidMode"], host["VolumesFrom"]], ["container:owner", ["owner"]]);
    assert.deepEqual(wire(host["Mounts"]), [
      {
        Type: "volume",
        Source: "v1",
        Target: "/data",
        ReadOnly: false,
        VolumeOptions: { NoCopy: true },
      },
      { Type: "bind", Source: "/run/x", Target: "/etc/x", ReadOnly: true },
      { Type: "tmpfs", Target: "/tmp", TmpfsOptions: { SizeBytes: 4_096, Mode: 0o1777 } },
    ]);
  });

  it("refuses a part of a volume where the engine cannot mount one", () => {
    const mounts = [
      {
        kind: "volume",
        engineName: "v1",
        target: "/data",
        readOnly: false,
        noCopy: false,
        subpath: "a",
      },
    ] as const;
    assert.throws(
      () => createCall(request({ mounts }), OLD, NO_DEFAULTS),
      (error) => error instanceof ProtocolError && error.code === "not_implemented",
    );
    assert.doesNotThrow(() => createCall(request({ mounts }), NEW, NO_DEFAULTS));
  });

  it("takes the engine's short forms for what only they can say", () => {
    const bind = { kind: "bind", source: "/srv/x", target: "/x" } as const;
    const { body } = createCall(
      request({
        mounts: [
          { ...bind, readOnly: true, createIfMissing: true },
          { ...bind, readOnly: false, selinux: "z", propagation: "rslave" },
          { ...bind, readOnly: true, createIfMissing: true, recursive: "disabled" },
          { kind: "tmpfs", target: "/run", sizeBytes: 4_096, mode: 0o700, options: ["exec"] },
        ],
      }),
      OLD,
      NO_DEFAULTS,
    );
    const host = hostConfig(body);
    assert.deepEqual(host["Binds"], ["/srv/x:/x:ro", "/srv/x:/x:rw,z,rslave"]);
    assert.deepEqual(host["Tmpfs"], { "/run": "size=4096,mode=700,exec" });
    assert.deepEqual(wire(host["Mounts"]), [
      {
        Type: "bind",
        Source: "/srv/x",
        Target: "/x",
        ReadOnly: true,
        BindOptions: { NonRecursive: true },
      },
    ]);
  });

  it("says how mounts below a read-only bind are, where the engine knows", () => {
    const bind = { kind: "bind", source: "/srv", target: "/srv", readOnly: true } as const;
    const options = (recursive: "writable" | "readonly", apiVersion: string) => {
      const { body } = createCall(
        request({ mounts: [{ ...bind, recursive }] }),
        apiVersion,
        NO_DEFAULTS,
      );
      return (wire(hostConfig(body)["Mounts"]) as { BindOptions: object }[])[0]?.BindOptions;
    };
    assert.deepEqual(options("writable", OLD), {});
    assert.deepEqual(options("writable", NEW), { ReadOnlyNonRecursive: true });
    assert.deepEqual(options("readonly", NEW), { ReadOnlyForceRecursive: true });
    assert.throws(
      () => options("readonly", OLD),
      (error) => error instanceof ProtocolError && error.code === "not_implemented",
    );
  });

  it("keeps the period of a processor limit that the file states", () => {
    const { body } = createCall(
      request({ limits: { cpuMillis: 500 }, engine: { cpuPeriodMicros: 50_000 } }),
      OLD,
      NO_DEFAULTS,
    );
    const { NanoCpus, CpuPeriod, CpuQuota } = hostConfig(body);
    assert.deepEqual([NanoCpus, CpuPeriod, CpuQuota], [undefined, 50_000, 25_000]);
  });

  it("writes disks' limits, devices of drivers, and rules for devices", () => {
    const { body } = createCall(
      request({
        engine: {
          blkioWeightDevice: [{ path: "/dev/sda", weight: 300 }],
          blkioReadBps: [{ path: "/dev/sda", rate: 1_024 }],
          blkioWriteIops: [{ path: "/dev/sda", rate: 30 }],
          deviceCgroupRules: ["c 1:3 rw"],
          deviceRequests: [{ count: -1, capabilities: ["gpu", "utility"], options: {} }],
          cgroupMode: "private",
        },
      }),
      OLD,
      NO_DEFAULTS,
    );
    const host = wire(hostConfig(body)) as Record<string, unknown>;
    assert.deepEqual(host["BlkioWeightDevice"], [{ Path: "/dev/sda", Weight: 300 }]);
    assert.deepEqual(host["BlkioDeviceReadBps"], [{ Path: "/dev/sda", Rate: 1_024 }]);
    assert.deepEqual(host["BlkioDeviceWriteIOps"], [{ Path: "/dev/sda", Rate: 30 }]);
    assert.deepEqual(host["DeviceCgroupRules"], ["c 1:3 rw"]);
    assert.equal(host["CgroupnsMode"], "private");
    assert.deepEqual(host["DeviceRequests"], [
      { Driver: "", Count: -1, DeviceIDs: [], Capabilities: [["gpu", "utility"]], Options: {} },
    ]);
  });
});
