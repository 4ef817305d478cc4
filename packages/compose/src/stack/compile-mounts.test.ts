/** Mounts and volumes, from the lines of a Compose file to the platform's words. */

import assert from "node:assert/strict";
import { test } from "node:test";
import type { Mount } from "@berth/protocol";
import { compileSample, compileWeb, problemWords, sampleDigest } from "./compile-sample.ts";
import { anonymousVolumeName, bindVolumeName } from "./volume-name.ts";

interface MountCase {
  readonly says: string;
  readonly lines: string;
  readonly found?: Readonly<Record<string, "file" | "directory">>;
  readonly rest?: string;
  readonly mounts: readonly Mount[];
  /** The beginning of each problem. */
  readonly said?: readonly string[];
}

const volume = (name: string, target: string): Mount => ({
  kind: "volume",
  volume: name,
  target,
  readOnly: false,
});

const CASES: readonly MountCase[] = [
  {
    says: "a relative file is carried as an object with its mode",
    lines: "volumes: ['./a.conf:/etc/a.conf:ro']",
    found: { "a.conf": "file" },
    mounts: [
      {
        kind: "object",
        digest: sampleDigest("a.conf"),
        form: "file",
        target: "/etc/a.conf",
        mode: 0o640,
      },
    ],
  },
  {
    says: "a writable relative file is carried, too, with a warning",
    lines: "volumes: ['./a.conf:/etc/a.conf']",
    found: { "a.conf": "file" },
    mounts: [
      {
        kind: "object",
        digest: sampleDigest("a.conf"),
        form: "file",
        target: "/etc/a.conf",
        mode: 0o640,
      },
    ],
    said: ['warning services.web.volumes.0: "./a.conf" is carried to the node as it is now'],
  },
  {
    says: "a read-only directory is an object",
    lines: "volumes: ['./html:/html:ro']",
    found: { html: "directory" },
    mounts: [{ kind: "object", digest: sampleDigest("html"), form: "directory", target: "/html" }],
  },
  {
    says: "a writable directory becomes a seeded volume",
    lines: "volumes: ['./data:/data']",
    found: { data: "directory" },
    mounts: [volume("bind-data", "/data")],
    said: ['warning services.web.volumes.0: "./data" becomes the volume "bind-data"'],
  },
  {
    says: "a missing directory becomes an empty volume",
    lines: "volumes: ['./gone:/gone']",
    mounts: [volume("bind-gone", "/gone")],
    said: ['warning services.web.volumes.0: "./gone" becomes the volume "bind-gone"'],
  },
  {
    says: "an absolute path is the host's",
    lines: "volumes: ['/srv:/srv:ro']",
    mounts: [
      { kind: "host", source: "/srv", target: "/srv", readOnly: true, createIfMissing: true },
    ],
  },
  {
    says: "x-berth.bind: host makes relative paths the host's",
    lines: "volumes: ['./data:/data']\nx-berth: {bind: host}",
    mounts: [
      {
        kind: "host",
        source: "/home/me/shop/data",
        target: "/data",
        readOnly: false,
        createIfMissing: true,
      },
    ],
  },
  {
    says: "what lies outside the project's folder is refused",
    lines: "volumes: ['../keys:/keys:ro']",
    mounts: [],
    said: ['error services.web.volumes.0: "../keys" lies outside'],
  },
  {
    says: "an anonymous volume has the name of its place",
    lines: "volumes: [/var/cache]",
    mounts: [volume("web--var--cache", "/var/cache")],
  },
  {
    says: "a declared volume keeps its options",
    lines: "volumes: ['db:/db:ro,nocopy']",
    rest: "volumes: {db: {}}\n",
    mounts: [{ kind: "volume", volume: "db", target: "/db", readOnly: true, noCopy: true }],
  },
  {
    says: "tmpfs takes what mount does and names what it does not take",
    lines:
      "tmpfs: ['/run:size=64m,mode=1770,exec,uid=5', '/tmp:mode=rwx,size=half,colour', '/x:size=50%']",
    mounts: [
      {
        kind: "tmpfs",
        target: "/run",
        sizeBytes: 67_108_864,
        mode: 0o1770,
        options: ["exec", "uid=5"],
      },
      { kind: "tmpfs", target: "/tmp" },
      { kind: "tmpfs", target: "/x", options: ["size=50%"] },
    ],
    said: [
      'error services.web.tmpfs.1: "mode=rwx" is no option',
      'error services.web.tmpfs.1: "size=half" is no option',
      'error services.web.tmpfs.1: "colour" is no option',
    ],
  },
  {
    says: "a host's path with everything that is said of it",
    lines:
      "volumes: ['/srv:/a:ro,Z', {type: bind, source: /srv, target: /b, bind: {propagation: rslave, recursive: disabled}}]",
    mounts: [
      {
        kind: "host",
        source: "/srv",
        target: "/a",
        readOnly: true,
        createIfMissing: true,
        selinux: "Z",
      },
      {
        kind: "host",
        source: "/srv",
        target: "/b",
        readOnly: false,
        propagation: "rslave",
        recursive: "disabled",
      },
    ],
  },
  {
    says: "the long form of tmpfs",
    lines: "volumes: [{type: tmpfs, target: /run, tmpfs: {size: 1m, mode: 0o700}}]",
    mounts: [{ kind: "tmpfs", target: "/run", sizeBytes: 1_048_576, mode: 0o700 }],
  },
];

for (const { says, lines, found = {}, rest = "", mounts, said = [] } of CASES) {
  test(`mounts: ${says}`, () => {
    const compiled = compileWeb(lines, { found, rest });
    assert.deepEqual(compiled.web.mounts, mounts);
    const beginnings = compiled.said.map((text, index) => text.slice(0, said[index]?.length));
    assert.deepEqual(beginnings, said);
  });
}

test("a seed is filled in for a directory and absent for a missing one", () => {
  const { result } = compileWeb("volumes: ['./data:/data', './gone:/gone']", {
    found: { data: "directory" },
  });
  const { volumes } = result.spec;
  assert.equal(volumes["bind-data"]?.seedDigest, sampleDigest("data"));
  assert.equal(volumes["bind-gone"]?.seedDigest, undefined);
});

test("two services that mount one directory share one volume; others never do", () => {
  const { spec } = compileSample(
    "services:\n  a: {image: x, volumes: ['./data:/d', './a-b:/x']}\n  b: {image: x, volumes: ['data/:/e', './a/b:/y', './c//b/:/z']}\n".replace(
      "data/:/e",
      "./data/:/e",
    ),
  );
  assert.deepEqual(Object.keys(spec.volumes), ["bind-data", "bind-a-b", "bind-a--b", "bind-c--b"]);
});

test("names of anonymous volumes of different places differ", () => {
  const names = [
    bindVolumeName("b"),
    bindVolumeName("b/c"),
    bindVolumeName("."),
    bindVolumeName(".hidden"),
    anonymousVolumeName("bind", "/b"),
    anonymousVolumeName("bind-b", "/c"),
    anonymousVolumeName("a", "/b/c"),
    anonymousVolumeName("a", "/b-c"),
    anonymousVolumeName("a-b", "/c"),
    anonymousVolumeName("a", "/b--c"),
    anonymousVolumeName("a", "/b/-c"),
    anonymousVolumeName("a", "/b-/c"),
    anonymousVolumeName("a", "/b c"),
    anonymousVolumeName("a", `/${"x".repeat(80)}`),
    anonymousVolumeName("a", `/${"x".repeat(81)}`),
  ];
  assert.equal(new Set(names).size, names.length);
  for (const name of names) assert.match(name, /^[a-zA-Z0-9][a-zA-Z0-9._-]{0,62}$/);
  assert.equal(names[0], "bind-b");
});

test("a read-only directory that another service writes is told about", () => {
  const result = compileSample(
    "services:\n  web: {image: x, volumes: ['./html:/html:ro']}\n  make: {image: x, volumes: ['./html:/out']}\n",
    { found: { html: "directory" } },
  );
  assert.match(problemWords(result)[0] ?? "", /what make writes to it is not seen here/);
});

test("declared volumes: mode, copies, drivers, external ones", () => {
  const { spec } =
    compileSample(`services: {web: {image: x, volumes: ['own:/a', 'all:/b', 'one:/c', 'out:/d', 'nfs:/e']}}
volumes:
  own:
  all: {x-berth: {mode: shared}}
  one: {x-berth: {per_copy: true}, driver: local}
  out: {external: true, name: other_data}
  nfs: {driver_opts: {type: nfs, o: addr=10.0.0.1, device: ':/x'}, labels: {a: b}}
`);
  const plain = { mode: "exclusive", perCopy: false, driverOptions: {}, labels: {} };
  assert.deepEqual(spec.volumes, {
    own: plain,
    all: { ...plain, mode: "shared" },
    one: { ...plain, perCopy: true },
    out: { ...plain, external: { name: "other_data" } },
    nfs: {
      ...plain,
      driverOptions: { type: "nfs", o: "addr=10.0.0.1", device: ":/x" },
      labels: { a: "b" },
    },
  });
});
