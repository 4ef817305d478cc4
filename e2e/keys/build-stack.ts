/** Images that are built, with everything that can be said of a build. */

import assert from "node:assert/strict";
import { docker } from "../engine.ts";
import { QUICK } from "./process-stack.ts";
import type { KeyStack } from "./scene.ts";

interface ImageFacts {
  readonly Id: string;
  readonly RepoTags: readonly string[];
  readonly Config: {
    readonly Labels: Readonly<Record<string, string>>;
    readonly Cmd: readonly string[] | null;
  };
}

function image(reference: string): ImageFacts {
  const [found] = JSON.parse(docker("image", "inspect", reference)) as ImageFacts[];
  assert.ok(found !== undefined);
  return found;
}

const DOCKERFILE = `
FROM berth/busybox AS base
ARG COLOUR=none
ARG UNSET=default
RUN echo "$COLOUR $UNSET" > /colour
RUN cat /etc/hosts > /hosts; ulimit -n > /nofile; ls /sys/class/net > /net; df -k /dev/shm > /shm
FROM base AS other
RUN echo other > /which
ENTRYPOINT ["/bin/sh", "-c"]
CMD ["sleep 100000"]
FROM base
RUN echo last > /which
`;

export const BUILD: KeyStack = {
  name: "build",
  environment: { COLOUR: "green" },
  files: {
    "src/Build.file": DOCKERFILE,
    "src/kept": "kept",
    "src/ignored": "ignored",
    "src/.dockerignore": "ignored\n",
  },
  compose: `
services:
  built:
    ${QUICK}
    build:
      context: ./src
      dockerfile: Build.file
      target: other
      args: {COLOUR: }
      labels: {of: build}
      tags: [berth-keys/further:1, berth-keys/further:2]
      cache_from: [berth/busybox]
      extra_hosts: ["build.example:10.3.2.1"]
      network: none
      shm_size: 16m
      ulimits: {nofile: {soft: 123, hard: 456}}
      platforms: [linux/amd64]
      no_cache: true
      pull: false
      isolation: default
    pull_policy: build
  filtered:
    ${QUICK}
    build:
      context: ./src
      dockerfile: Build.file
      tags: [berth-keys/filtered:1]
      no_cache_filter: [other]
    command: sleep 100005
    pull_policy: build
  inline:
    ${QUICK}
    build:
      context: ./src
      dockerfile_inline: |
        FROM berth/busybox
        COPY . /context/
    command: sleep 100000
  empty-command:
    ${QUICK}
    build:
      context: ./src
      dockerfile_inline: |
        FROM berth/busybox
        ENTRYPOINT ["sh", "-c", "exec sleep \\"$$1\\"", "sh", "100002"]
        CMD ["never"]
    command: []
  empty-entrypoint:
    ${QUICK}
    build:
      context: ./src
      dockerfile_inline: |
        FROM berth/busybox
        ENTRYPOINT ["/no/such/program"]
    entrypoint: []
    command: [sleep, "100003"]
  own-entrypoint:
    ${QUICK}
    build:
      context: ./src
      dockerfile_inline: |
        FROM berth/busybox
        ENTRYPOINT ["/no/such/program"]
        CMD ["never"]
    entrypoint: [sleep, "100004"]
`,
  checks: [
    {
      keys: [
        "services.*.build.context",
        "services.*.build.dockerfile",
        "services.*.build.target",
        "services.*.pull_policy",
      ],
      says: "the stage of the Dockerfile in the context was built and runs",
      look: (at) => {
        assert.equal(at.inside("built", "cat", "/which"), "other");
        assert.equal(at.proc("built", "cmdline"), "sleep 100000");
      },
    },
    {
      keys: ["services.*.build.args"],
      says: "arguments have their values, of the environment too; without one the default holds",
      look: (at) => assert.equal(at.inside("built", "cat", "/colour"), "green default"),
    },
    {
      keys: ["services.*.build.labels", "services.*.build.tags"],
      says: "the image has the labels and the further names",
      look: () => {
        assert.equal(image("berth-keys/further:1").Config.Labels["of"], "build");
        assert.ok(image("berth-keys/further:1").RepoTags.includes("berth-keys/further:2"));
      },
    },
    {
      keys: [
        "services.*.build.extra_hosts",
        "services.*.build.network",
        "services.*.build.shm_size",
        "services.*.build.ulimits.*.soft",
        "services.*.build.ulimits.*.hard",
      ],
      says: "its steps saw the hosts, the network, the memory and the limits of the file",
      look: (at) => {
        assert.match(at.inside("built", "cat", "/hosts"), /10\.3\.2\.1\s+build\.example/);
        assert.equal(at.inside("built", "cat", "/net"), "lo");
        assert.equal(at.inside("built", "cat", "/nofile"), "123");
        assert.match(at.inside("built", "cat", "/shm"), /\b16384\b/);
      },
    },
    {
      keys: ["services.*.build.dockerfile_inline"],
      says: "a Dockerfile in the stack file builds with the context, without what is ignored",
      look: (at) => {
        const files = at.inside("inline", "ls", "-A", "/context").split("\n");
        assert.ok(files.includes("kept") && !files.includes("ignored"), files.join(" "));
      },
    },
    {
      keys: ["services.*.entrypoint", "services.*.command"],
      says: "an empty command clears the image's, an empty entrypoint too, and another drops both",
      look: (at) => {
        assert.equal(at.proc("empty-command", "cmdline"), "sleep 100002");
        assert.equal(at.proc("empty-entrypoint", "cmdline"), "sleep 100003");
        assert.equal(at.proc("own-entrypoint", "cmdline"), "sleep 100004");
      },
    },
    {
      keys: [
        "services.*.build.no_cache",
        "services.*.build.no_cache_filter",
        "services.*.build.pull",
        "services.*.build.cache_from",
        "services.*.build.platforms",
        "services.*.build.isolation",
      ],
      says: "a build without cache is built anew at each deploy, one with it is not",
      look: async (at) => {
        const uncached = () =>
          ["further", "filtered"].map((name) => image(`berth-keys/${name}:1`).Id);
        const before = uncached();
        const inline = at.container("inline").Id;
        const folder = at.platform.folder;
        const words = ["deploy", "-f", `${folder}/${at.stack}/compose.yaml`, "--stack", at.stack];
        const { code, stderr } = await at.platform.berthWith(
          { environment: { COLOUR: "green" } },
          ...words,
        );
        assert.equal(code, 0, stderr);
        for (const [index, id] of uncached().entries()) assert.notEqual(id, before[index]);
        assert.equal(at.containers("inline")[0]?.Id, inline);
      },
    },
  ],
};
