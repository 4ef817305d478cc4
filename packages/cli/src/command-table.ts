/**
 * Every command by its words, in the order of the help. A row costs nothing until its command runs: the
 * summary stands here so that `berth --help` loads no command.
 */

import type { CommandDescription } from "./command.ts";

export const GROUPS = [
  "Stacks",
  "Looking",
  "Certificates",
  "Cluster",
  "This machine",
  "Processes",
] as const;

export interface CommandRow {
  /** `deploy`, `stack rm` */
  readonly words: string;
  readonly group: (typeof GROUPS)[number];
  readonly summary: string;
  readonly load: () => Promise<CommandDescription>;
}

type Load = () => Promise<{ readonly command: CommandDescription }>;

type Row = readonly [words: string, summary: string, load: Load];

function rows(group: CommandRow["group"], list: readonly Row[]): CommandRow[] {
  return list.map(([words, summary, load]) => ({
    group,
    words,
    summary,
    load: async () => (await load()).command,
  }));
}

const pausing = () => import("./commands/pause.ts");
const context = () => import("./commands/context-commands.ts");
const routing = () => import("./commands/route-commands.ts");
const volume = () => import("./commands/volume-commands.ts");
const volumeCopies = () => import("./commands/volume-copies.ts");
const clusterBackup = () => import("./commands/platform-backup.ts");
const ingress = () => import("./commands/ingress-commands.ts");
const registry = () => import("./commands/registry-commands.ts");
const nodeWords = () => import("./commands/node-set.ts");
const availability = () => import("./commands/node-availability.ts");

const external = () => import("./commands/external-commands.ts");

/** The verbs of secrets and configs that an environment has apart from stacks. */
function externalRows(noun: "secret" | "config-file"): Row[] {
  const what = noun === "secret" ? "secret" : "config";
  const words = async () => (await external()).EXTERNAL_COMMANDS[noun];
  return [
    [
      `${noun} create`,
      `make a ${what} of the environment`,
      async () => ({ command: (await words()).create }),
    ],
    [
      `${noun} update`,
      `give it another content`,
      async () => ({ command: (await words()).update }),
    ],
    [`${noun} ls`, `${what}s of the environment`, async () => ({ command: (await words()).list })],
    [
      `${noun} describe`,
      "its versions and its users",
      async () => ({ command: (await words()).describe }),
    ],
    [
      `${noun} rm`,
      "remove one that nobody uses",
      async () => ({ command: (await words()).remove }),
    ],
  ];
}

const STACKS = rows("Stacks", [
  [
    "deploy",
    "make a release of a Compose file and move to it",
    () => import("./commands/deploy.ts"),
  ],
  ["config", "print what a Compose file means", () => import("./commands/config.ts")],
  ["scale", "set the number of copies of a service", () => import("./commands/scale.ts")],
  ["restart", "replace every copy of a service", () => import("./commands/restart.ts")],
  ["pause", "take one copy out of service", async () => ({ command: (await pausing()).pause })],
  ["resume", "put a paused copy back", async () => ({ command: (await pausing()).resume })],
  ["rollback", "move a stack to an earlier release", () => import("./commands/rollback.ts")],
  ["releases", "releases of a stack", () => import("./commands/releases.ts")],
  ["stack ls", "stacks of the environment", () => import("./commands/stack-ls.ts")],
  ["stack rm", "stop and remove a stack", () => import("./commands/stack-rm.ts")],
  [
    "stack parameters",
    "values that are kept for a stack's file",
    () => import("./commands/stack-parameters.ts"),
  ],
  ...externalRows("secret"),
  ...externalRows("config-file"),
  ["network ls", "networks and how full they are", () => import("./commands/network-ls.ts")],
  ["network show", "who is on a network", () => import("./commands/network-show.ts")],
  ["network rm", "remove a network that nobody is on", () => import("./commands/network-rm.ts")],
  ["volume ls", "volumes and who uses them", () => import("./commands/volume-ls.ts")],
  [
    "volume describe",
    "one volume with its users",
    async () => ({ command: (await volume()).describe }),
  ],
  ["volume move", "to another node", async () => ({ command: (await volume()).move })],
  [
    "volume backup",
    "its content into a file",
    async () => ({ command: (await volumeCopies()).backup }),
  ],
  [
    "volume restore",
    "its content from a file",
    async () => ({ command: (await volumeCopies()).restore }),
  ],
  ["volume rm", "remove a volume and its data", () => import("./commands/volume-rm.ts")],
]);

const LOOKING = rows("Looking", [
  ["ps", "what runs", () => import("./commands/ps.ts")],
  ["logs", "log lines, also of containers that are gone", () => import("./commands/logs.ts")],
  [
    "route ls",
    "routes: who has which host, path or port",
    async () => ({ command: (await routing()).ls }),
  ],
  [
    "route logs",
    "requests from outside, as they were logged",
    async () => ({ command: (await routing()).logs }),
  ],
  ["exec", "run a command in a container", () => import("./commands/exec.ts")],
  [
    "explain",
    "why something does not run, or where it runs",
    () => import("./commands/explain.ts"),
  ],
  ["events", "what happened", () => import("./commands/events.ts")],
  ["dns lookup", "what a name answers, to whom and why", () => import("./commands/dns-lookup.ts")],
]);

const certificates = () => import("./commands/certificate-commands.ts");
const authority = () => import("./commands/ca-commands.ts");
const acme = () => import("./commands/acme-commands.ts");

const CERTIFICATES = rows("Certificates", [
  [
    "certificate ls",
    "certificates and when they expire",
    async () => ({ command: (await certificates()).list }),
  ],
  [
    "certificate show",
    "one of them, and every step of its order",
    async () => ({ command: (await certificates()).show }),
  ],
  [
    "certificate add",
    "hand in a certificate with its key",
    async () => ({ command: (await certificates()).add }),
  ],
  [
    "certificate issue",
    "have one issued, by ACME or the cluster's authority",
    async () => ({ command: (await certificates()).issue }),
  ],
  [
    "certificate renew",
    "get a new one now",
    async () => ({ command: (await certificates()).renew }),
  ],
  ["certificate rm", "remove one", async () => ({ command: (await certificates()).remove })],
  ["ca show", "the cluster's own authority", async () => ({ command: (await authority()).show })],
  [
    "ca export",
    "its certificate, for clients to trust",
    async () => ({ command: (await authority()).exportPem }),
  ],
  ["acme set", "set the ACME server", async () => ({ command: (await acme()).set })],
  ["acme show", "the ACME server that is set", async () => ({ command: (await acme()).show })],
  ["acme rm", "forget the ACME server", async () => ({ command: (await acme()).remove })],
]);

const servers = () => import("./commands/server-commands.ts");

const CLUSTER = rows("Cluster", [
  ["node ls", "nodes of the cluster", () => import("./commands/node-ls.ts")],
  ["sim", "place a trace of asks on a list of nodes", () => import("./commands/sim.ts")],
  [
    "project policy",
    "what stack files may ask of hosts",
    () => import("./commands/project-policy.ts"),
  ],
  [
    "node join",
    "print the command that makes another host a node",
    () => import("./commands/node-join.ts"),
  ],
  [
    "node describe",
    "one node, its copies and what they wait for",
    () => import("./commands/node-describe.ts"),
  ],
  ["node rm", "end a node's membership", () => import("./commands/node-rm.ts")],
  ["server ls", "servers of the cluster", async () => ({ command: (await servers()).list })],
  [
    "server join",
    "print the command that makes another host a server",
    async () => ({ command: (await servers()).join }),
  ],
  [
    "server rm",
    "forget a server that was stopped",
    async () => ({ command: (await servers()).remove }),
  ],
  ["node set", "labels and resources of a node", () => import("./commands/node-set.ts")],
  ["node label", "labels of a node", async () => ({ command: (await nodeWords()).label })],
  [
    "node taint",
    "keep copies away from a node",
    async () => ({ command: (await nodeWords()).taint }),
  ],
  [
    "node cordon",
    "no new copies on a node; what runs stays",
    async () => ({ command: (await availability()).cordon }),
  ],
  ["node fenced", "say that a host is dead", () => import("./commands/node-fenced.ts")],
  ["node drain", "empty a node", () => import("./commands/node-drain.ts")],
  [
    "node uncordon",
    "take a node back in",
    async () => ({ command: (await availability()).uncordon }),
  ],
  [
    "ingress ls",
    "nodes that answer requests from outside",
    async () => ({ command: (await ingress()).list }),
  ],
  [
    "ingress address set",
    "have an address move between those nodes",
    async () => ({ command: (await ingress()).setAddress }),
  ],
  [
    "ingress address rm",
    "give such an address up",
    async () => ({ command: (await ingress()).removeAddress }),
  ],
  [
    "registry login",
    "keep a login at an image registry",
    async () => ({ command: (await registry()).login }),
  ],
  ["registry ls", "logins at registries", async () => ({ command: (await registry()).list })],
  ["registry logout", "forget a login", async () => ({ command: (await registry()).logout })],
  ["context ls", "servers that you know", async () => ({ command: (await context()).list })],
  ["context use", "choose a server", async () => ({ command: (await context()).use })],
  ["context add", "add a server", async () => ({ command: (await context()).add })],
  ["context rm", "forget a server", async () => ({ command: (await context()).remove })],
  [
    "debug network",
    "whether networks reach from node to node",
    () => import("./commands/debug-network.ts"),
  ],
  ["debug loops", "every loop of the server", () => import("./commands/debug-loops.ts")],
]);

const MACHINE = rows("This machine", [
  ["platform start", "start Berth in the background", () => import("./commands/platform-start.ts")],
  [
    "platform stop",
    "stop Berth; containers keep running",
    () => import("./commands/platform-stop.ts"),
  ],
  ["platform status", "what of Berth runs here", () => import("./commands/platform-status.ts")],
  [
    "platform doctor",
    "check everything that Berth needs",
    () => import("./commands/platform-doctor.ts"),
  ],
  [
    "platform welcome",
    "addresses, and what to try",
    () => import("./commands/platform-welcome.ts"),
  ],
  [
    "platform backup",
    "the cluster's state and keys into a file",
    async () => ({ command: (await clusterBackup()).backup }),
  ],
  [
    "platform restore",
    "a cluster from such a file",
    async () => ({ command: (await clusterBackup()).restore }),
  ],
  [
    "platform migrate-store",
    "move the cluster's state to etcd, or back",
    () => import("./commands/platform-migrate-store.ts"),
  ],
  [
    "platform uninstall",
    "remove Berth from this machine",
    () => import("./commands/platform-uninstall.ts"),
  ],
  ["image base", "make a base image from packages", () => import("./commands/image-base.ts")],
  ["completion", "completion script for a shell", () => import("./commands/completion.ts")],
]);

const processes = () => import("./commands/process-commands.ts");

const PROCESSES = rows("Processes", [
  [
    "server",
    "the server of this machine, in the foreground",
    async () => ({ command: (await processes()).server }),
  ],
  [
    "agent",
    "the agent of this node, in the foreground",
    async () => ({ command: (await processes()).agent }),
  ],
  [
    "net",
    "names and requests of this node, in the foreground",
    async () => ({ command: (await processes()).net }),
  ],
  ["version", "version of this program", () => import("./commands/version.ts")],
]);

export const COMMANDS: readonly CommandRow[] = [
  ...STACKS,
  ...LOOKING,
  ...CERTIFICATES,
  ...CLUSTER,
  ...MACHINE,
  ...PROCESSES,
];
