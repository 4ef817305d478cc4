/**
 * What `net` says back: how far each of its parts has applied a model, and what stands in the way.
 *
 * A problem belongs to one route, network or part and never stops the others; it stays in the report
 * until it is gone, and `net` keeps trying by itself. Plain data, the wire format of `GET /status` and
 * of the answer to `PUT /model`.
 */

/** Codes that operators and the agent can act on; the rest of the fields says which and why. */
export type NetProblem =
  /** Somebody else holds the host port. `holder` is its process where `/proc` tells. */
  | {
      readonly code: "port_taken";
      readonly id: string;
      readonly address: string;
      readonly port: number;
      readonly holder?: PortHolder;
    }
  /** The host has no such address (now). */
  | {
      readonly code: "address_missing";
      readonly id: string;
      readonly address: string;
      readonly port: number;
    }
  /** Two routes of the model want the same; `otherId` has it. */
  | { readonly code: "route_clash"; readonly id: string; readonly otherId: string }
  /** A route that HAProxy could not read, in its words; left out. */
  | { readonly code: "route_invalid"; readonly id: string; readonly detail: string }
  /** A route wants HTTPS alone and there is none; it is answered with 421 on the HTTP port. */
  | { readonly code: "no_https"; readonly id: string; readonly detail: string }
  /** A certificate that cannot be used; its hosts get the default one. */
  | { readonly code: "certificate_invalid"; readonly id: string; readonly detail: string }
  /** The users of a route with authentication are not known; it answers 503. */
  | { readonly code: "users_missing"; readonly id: string }
  /** No privilege for the port (below 1024 without root), or for the firewall. */
  | { readonly code: "not_permitted"; readonly id: string; readonly detail: string }
  /** The program (haproxy, nft) is not installed. */
  | { readonly code: "program_missing"; readonly program: string }
  /** An item of the model is not as it should be and was left out; `id` is its place in the model. */
  | { readonly code: "invalid_item"; readonly id: string; readonly detail: string }
  /** A part failed in a way that it does not know; it tries again. */
  | { readonly code: "part_failed"; readonly part: NetPart; readonly detail: string };

export interface PortHolder {
  readonly pid: number;
  /** File name of its program, `nginx`. */
  readonly name: string;
}

export type NetPart = "dns" | "ingress" | "firewall" | "addresses" | "overlay";

/** `pending`: not applied yet; `ok`: applied in full; `degraded`: applied but for the problems. */
export interface PartReport {
  readonly state: "pending" | "ok" | "degraded";
  /** The generation whose content this part follows now. */
  readonly generation: number;
  readonly problems: readonly NetProblem[];
}

export interface ApplyReport {
  /** The generation that was applied last. */
  readonly generation: number;
  readonly dns: PartReport;
  readonly ingress: PartReport;
  readonly firewall: PartReport;
  /** Service addresses and UDP ports. Absent from a `net` of the version before. */
  readonly addresses?: PartReport;
  /** Ways to other nodes. Absent from a `net` of the version before. */
  readonly overlay?: PartReport;
}

/** What each part says, in a fixed order. */
export function partsOf(report: ApplyReport): readonly PartReport[] {
  const { dns, ingress, firewall, addresses, overlay } = report;
  return [dns, ingress, firewall, addresses, overlay].filter((part) => part !== undefined);
}

/** Answer of `GET /status`. */
export interface NetStatus extends ApplyReport {
  readonly pid: number;
  readonly startedAt: number;
  /** Process id of the HAProxy master, when it runs. */
  readonly ingressPid?: number;
  /** Lines of requests, written by HAProxy; older ones in files of that name with a number. */
  readonly accessLogPath?: string;
  /** Host ports that HAProxy holds now. */
  readonly boundPorts: readonly { readonly address: string; readonly port: number }[];
  readonly loops: readonly {
    readonly name: string;
    readonly state: string;
    readonly failuresInRow: number;
    readonly lastError?: string;
  }[];
}

/** Answer of `GET /routes`: one for each route and published port that HAProxy serves. */
export interface RouteFigures {
  readonly routeId: string;
  /** TCP counts connections. */
  readonly requests: number;
  /** Answers by the first digit of their status, 1 to 5; zeroes for TCP. */
  readonly statuses: readonly [number, number, number, number, number];
  /** From clients, to clients. */
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Now. */
  readonly sessions: number;
  /** Milliseconds until an answer began and until it had ended: means of the last 1,024. */
  readonly answerMsMean: number;
  readonly totalMsMean: number;
}

/** Answer of `GET /sessions`: connections and queued requests of an endpoint, over all HAProxy workers. */
export interface EndpointSessions {
  readonly sessions: number;
  readonly queued: number;
}

/** One sentence for people. */
export function describeProblem(problem: NetProblem): string {
  switch (problem.code) {
    case "port_taken":
      return `${problem.id}: port ${problem.address}:${problem.port} is held by ${
        problem.holder === undefined
          ? "another process"
          : `${problem.holder.name} (process ${problem.holder.pid})`
      }`;
    case "address_missing":
      return `${problem.id}: this host has no address ${problem.address} (port ${problem.port})`;
    case "route_clash":
      return `${problem.id}: the same host and path or port belong to ${problem.otherId}`;
    case "route_invalid":
      return `${problem.id}: left out, HAProxy cannot read it: ${problem.detail}`;
    case "no_https":
      return `${problem.id}: wants HTTPS, but ${problem.detail}`;
    case "certificate_invalid":
      return `certificate ${problem.id}: not used: ${problem.detail}`;
    case "users_missing":
      return `${problem.id}: answers 503, as its users are not known`;
    case "not_permitted":
      return `${problem.id}: not permitted: ${problem.detail}`;
    case "invalid_item":
      return `left out: ${problem.detail}`;
    case "program_missing":
      return `the program ${problem.program} is not installed`;
    case "part_failed":
      return `${problem.part}: ${problem.detail}`;
  }
}
