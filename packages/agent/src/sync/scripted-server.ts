/**
 * A server for tests of the agent: says what it is told to say over a real `ApiClient`, and keeps what the
 * agent reports. It decides nothing; the simulation runs the real one.
 */

import {
  type ApiClient,
  type Assignment,
  type CallOptions,
  type DeclaredService,
  type DialRequest,
  type FrameStream,
  keys,
  type Network,
  type NodeCertificates,
  type NodeCertificatesRequest,
  type NodeStatus,
  type Operation,
  type OperationReport,
  ProtocolError,
  type RouteId,
  type ServerAddress,
  type TaskStatus,
  type WatchEvent,
  type WatchKind,
} from "@berth/protocol";
import { Channel } from "../runtime/channel.ts";

const LEASE_MS = 6_000;
const EVENTS_MAX = 10_000;

const MADE_KINDS: WatchKind[] = ["assignment", "service", "attachment", "peer"];

interface Stored {
  readonly kind:
    | "assignment"
    | "network"
    | "operation"
    | "service"
    | "attachment"
    | "peer"
    | "certificate"
    | "server-address";
  readonly value: unknown;
}

export class ScriptedServer {
  cluster = "c1abcdef";
  epoch = "e1";
  revision = 100;
  /** Nobody can reach it. */
  isDown = false;
  /** The node is no member any more: `removed` when it was taken out, `unknown` to a restored store. */
  membership: "member" | "removed" | "unknown" = "member";
  /** The next watch with a position is answered with 410. */
  refusesPositions = false;
  readonly statuses = new Map<string, TaskStatus>();
  /** Every status in the order of its arrival. */
  readonly history: TaskStatus[] = [];
  readonly reports = new Map<string, OperationReport>();
  readonly blobs = new Map<string, Uint8Array>();
  readonly secrets = new Map<string, Record<string, string>>();
  /** Answered to the next report of a task: stop these. */
  readonly stop = new Set<string>();
  /** By route: so many of its next calls are refused, while streams stand. */
  readonly refuses = new Map<RouteId, number>();
  readonly sessions = new Map<string, FrameStream>();
  readonly calls: string[] = [];
  node: NodeStatus | undefined;
  /** Absent: as a server that says none. */
  protocol: number | undefined;
  /** What was selected by the newest watch. */
  watched: readonly string[] = [];
  leases = 0;
  certificates: NodeCertificates = { certificates: [] };
  /** What the node said that it serves with, last. */
  serving: NodeCertificatesRequest["serving"];
  readonly #objects = new Map<string, Stored>();
  readonly #streams = new Set<Channel<WatchEvent>>();

  assign(assignment: Assignment): void {
    this.#put(`task/${assignment.task.id}`, { kind: "assignment", value: assignment });
  }

  /** The server forgets the task. */
  forget(task: string): void {
    this.#delete(`task/${task}`, "assignment");
  }

  addNetwork(network: Network): void {
    this.#put(`network/${network.id}`, { kind: "network", value: network });
  }

  declare(service: DeclaredService): void {
    this.#put(keys.declaredService(service), { kind: "service", value: service });
  }

  /** Nobody is told: what happens while no stream stands. */
  forgetService(service: DeclaredService): void {
    this.#objects.delete(keys.declaredService(service));
  }

  operate(operation: Operation): void {
    this.#put(`operation/${operation.id}`, { kind: "operation", value: operation });
  }

  /** Says that a certificate has changed; which one, the agent does not look at. */
  announceCertificate(): void {
    this.#put("certificate/any", { kind: "certificate", value: {} });
  }

  tellAddress(address: ServerAddress): void {
    this.#put(keys.serverAddress(address.node), { kind: "server-address", value: address });
  }

  dial(dial: DialRequest): void {
    for (const stream of this.#streams) stream.push({ type: "dial", dial });
  }

  /** Another store under the same name: nothing of it is known. */
  replaceStore(epoch: string, revision = 1): void {
    this.epoch = epoch;
    this.revision = revision;
    this.#objects.clear();
    this.statuses.clear();
    this.breakStreams();
  }

  breakStreams(): void {
    for (const stream of [...this.#streams]) stream.fail(unreachable());
    this.#streams.clear();
  }

  goDown(): void {
    this.isDown = true;
    this.breakStreams();
  }

  get client(): ApiClient {
    const call = async (id: RouteId, options: CallOptions<RouteId>): Promise<unknown> => {
      await Promise.resolve();
      if (this.isDown) throw unreachable();
      this.calls.push(id);
      const refused = this.refuses.get(id) ?? 0;
      this.refuses.set(id, Math.max(0, refused - 1));
      if (refused > 0) throw unreachable();
      return this.#answer(id, options as unknown as Loose);
    };
    return {
      call: call as ApiClient["call"],
      download: async (_id, options) => {
        if (this.isDown) throw unreachable();
        const { digest } = options.params as { readonly digest: string };
        const bytes = this.blobs.get(digest);
        if (bytes === undefined) throw new ProtocolError("not_found", `no blob ${digest}`);
        return once(bytes);
      },
      upgrade: async (_id, options) => {
        const { session = "" } = options.params as Readonly<Record<string, string>>;
        const stream = this.sessions.get(session);
        if (stream === undefined) throw new ProtocolError("not_found", `no session ${session}`);
        return stream;
      },
    };
  }

  #answer(id: RouteId, { params, body, signal }: Loose): unknown {
    switch (id) {
      case "reportNode": {
        if (this.membership !== "member") {
          const details = { removed: this.membership === "removed" };
          throw new ProtocolError("node_removed", "the node is no member", details);
        }
        const told = body["cluster"];
        if (told !== undefined && told !== this.cluster) {
          throw new ProtocolError("foreign_cluster", "the node is of another cluster");
        }
        this.node = body["status"] as NodeStatus;
        return {
          ...{ cluster: this.cluster, leaseMs: LEASE_MS },
          ...(this.protocol === undefined ? {} : { protocol: this.protocol }),
        };
      }
      case "renewLease":
        this.leases++;
        return { leaseMs: LEASE_MS };
      case "reportTasks":
        return this.#takeStatuses(body["statuses"] as TaskStatus[]);
      case "reportOperation":
        this.reports.set(params["operation"] ?? "", body as OperationReport);
        return {};
      case "syncNodeCertificates":
        return this.#certificatesFor(body as unknown as NodeCertificatesRequest);
      case "getTaskSecrets":
        return this.secrets.get(params["task"] ?? "") ?? {};
      case "watch":
        this.watched = (body["selectors"] as { readonly kind: string }[]).map(({ kind }) => kind);
        return this.#watch(body["position"] as string | undefined, signal);
      default:
        throw new ProtocolError("not_implemented", `${id} is not scripted`);
    }
  }

  /** As the real one: content only of versions that the node does not have. */
  #certificatesFor({ known, serving }: NodeCertificatesRequest): NodeCertificates {
    if (serving !== undefined) this.serving = serving;
    const certificates = this.certificates.certificates.map((each) => {
      const { pem: _content, ...rest } = each;
      return known[each.id] === each.version ? rest : each;
    });
    return { ...this.certificates, certificates };
  }

  #takeStatuses(statuses: readonly TaskStatus[]): { stop: string[] } {
    for (const status of statuses) {
      const known = this.statuses.get(status.task);
      if (known !== undefined && known.sequence >= status.sequence) continue;
      this.statuses.set(status.task, status);
      this.history.push(status);
    }
    return { stop: statuses.map(({ task }) => task).filter((task) => this.stop.has(task)) };
  }

  #watch(position: string | undefined, signal: AbortSignal | undefined): AsyncIterable<WatchEvent> {
    if (position !== undefined && (this.refusesPositions || !position.startsWith(this.epoch))) {
      this.refusesPositions = false;
      throw new ProtocolError("position_gone", "list again");
    }
    const overflow = () => new Error("too slow");
    const stream = new Channel<WatchEvent>({ limit: EVENTS_MAX, overflow });
    if (position === undefined) {
      for (const [key, { kind, value }] of this.#objects) {
        stream.push({ type: "put", kind, key, revision: this.revision, value });
      }
      stream.push({ type: "synced", position: `${this.epoch}:${this.revision}` });
    } else {
      // Of what history has no past, a stream that is taken up lists all.
      for (const [key, { kind, value }] of this.#objects) {
        if (!MADE_KINDS.includes(kind)) continue;
        stream.push({ type: "put", kind, key, revision: this.revision, value });
      }
      stream.push({ type: "listed", kinds: MADE_KINDS });
    }
    this.#streams.add(stream);
    signal?.addEventListener("abort", () => stream.fail(signal.reason), { once: true });
    return stream;
  }

  #put(key: string, stored: Stored): void {
    this.#objects.set(key, stored);
    const revision = ++this.revision;
    const event = { type: "put" as const, key, revision, ...stored };
    for (const stream of this.#streams) stream.push(event);
  }

  #delete(key: string, kind: Stored["kind"]): void {
    this.#objects.delete(key);
    const revision = ++this.revision;
    for (const stream of this.#streams) stream.push({ type: "delete", key, kind, revision });
  }
}

interface Loose {
  readonly params: Readonly<Record<string, string>>;
  readonly body: Readonly<Record<string, unknown>>;
  readonly signal?: AbortSignal;
}

function unreachable(): ProtocolError {
  return new ProtocolError("unavailable", "the server cannot be reached", { reason: "down" });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
