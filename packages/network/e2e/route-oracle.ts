/**
 * Random routes and requests, and the question whether HAProxy and the slow matcher agree about them.
 *
 * Hosts, paths and values come from small sets that collide often: neighbours, prefixes of each other, odd
 * characters that belong to somebody else's syntax. Used by the property test and by fuzz/routes.ts.
 */

import { once } from "node:events";
import { connect, type Socket } from "node:net";
import type { Prng } from "@berth/base";
import { matchRoute, type RequestLine } from "../src/ingress/route-table.ts";
import type { HeaderMatchModel, HttpRouteModel } from "../src/model.ts";
import { HTTP_PORT } from "./requests.ts";
import { route } from "./routes-lab.ts";

const HOSTS = [
  "a.test",
  "b.a.test",
  "*.a.test",
  "*.b.a.test",
  "*",
  "a",
  "*.test",
  "x-y.test",
  "_s.a.test",
];
const PATHS = ["/", "/a", "/a/", "/a/b", "/ab", "/a.b", "/a%2fb", "/:digest", "/a//b", "/~$&"];
const REGEXES = ["/a.*", "/[ab]+", "/a/[^/]+", "/.*b", "/(?:a|ab)", "/a\\.b"];
const METHODS = ["GET", "POST", "PUT", "DELETE"];
const NAMES = ["x-a", "x-b"];
const VALUES = ["1", "a|b", "it's", "%[src]", "a b", '"q"', "c0|", "1|a.test/a"];
const ODD_HOSTS = [
  "",
  "A.TEST",
  "a.test.",
  "a.test:80",
  "c.b.a.test",
  ".a.test",
  "a..test",
  "a.test|",
  "b_a.test",
  "?",
  "c,a.test",
  "a.test:b",
];
const ODD_PATHS = [
  "/a?x=/b",
  "/a/b/c/",
  "/abc",
  "//a",
  "/A",
  "/a/../b",
  "/?",
  "/a|b",
  "/a;b",
  "/a'b",
  '/a"b',
  "/a/b?c/d",
  "*",
];
const ODD_VALUES = ["", " 1", "2", "a|b|", "1|a.test/a/", "x".repeat(300)];

function some(prng: Prng, percent: number): boolean {
  return prng.chance(percent / 100);
}

/** A set of routes; many share hosts and paths, some clash. */
export function randomRoutes(prng: Prng, count: number): HttpRouteModel[] {
  return Array.from({ length: count }, (_, index) => {
    const headers = NAMES.filter(() => some(prng, 20)).map((name) => randomHeader(prng, name));
    return route(`r${index}`, {
      hosts: [...new Set([prng.pick(HOSTS), prng.pick(HOSTS)])],
      ...randomPath(prng),
      ...(some(prng, 25) ? { methods: [prng.pick(METHODS), prng.pick(METHODS)] } : {}),
      ...(headers.length === 0 ? {} : { headers }),
      // Answered by HAProxy: a route is told by where it leads.
      redirect: { code: 302, host: `r${index}.test` },
    });
  });
}

/** Routes that only exact hosts and prefixes of paths tell apart: HAProxy finds them by one lookup. */
export function randomPlainRoutes(prng: Prng, count: number): HttpRouteModel[] {
  const hosts = HOSTS.filter((host) => !host.includes("*"));
  return Array.from({ length: count }, (_, index) =>
    route(`r${index}`, {
      hosts: [prng.pick(hosts)],
      pathPrefix: prng.pick(PATHS),
      redirect: { code: 302, host: `r${index}.test` },
    }),
  );
}

function randomPath(prng: Prng): Partial<HttpRouteModel> {
  const pathPrefix = prng.pick(PATHS);
  if (some(prng, 15)) return { pathPrefix, pathExact: prng.pick(PATHS) };
  return some(prng, 10) ? { pathPrefix, pathRegex: prng.pick(REGEXES) } : { pathPrefix };
}

function randomHeader(prng: Prng, name: string): HeaderMatchModel {
  const kind = prng.pick([
    "exact",
    "exact",
    "exact",
    "prefix",
    "regex",
    "present",
    "absent",
  ] as const);
  if (kind === "present" || kind === "absent") return { name, kind };
  return kind === "regex"
    ? { name, kind, value: "^[a-c1]" }
    : { name, kind, value: prng.pick(VALUES) };
}

/** A request that is near to some route, or odd. */
export function randomRequest(prng: Prng): RequestLine & { readonly target: string } {
  const host = some(prng, 60)
    ? prng.pick(HOSTS).replace("*", prng.pick(["c", "c.d", "b"]))
    : prng.pick(ODD_HOSTS);
  const base = some(prng, 60) ? prng.pick(PATHS) : prng.pick(ODD_PATHS);
  const target =
    base !== "*" && some(prng, 30) ? `${base}/${prng.pick(["x", "a", "b", ""])}` : base;
  const headers: Record<string, string> = {};
  for (const name of NAMES) {
    if (some(prng, 50)) headers[name] = some(prng, 70) ? prng.pick(VALUES) : prng.pick(ODD_VALUES);
  }
  const path = target === "*" ? "" : (target.split("?")[0] ?? "");
  const method = target === "*" ? "OPTIONS" : prng.pick(METHODS);
  return { host, path, target, method, headers };
}

/**
 * A request near to some route in which one part has bytes of any kind: whatever HAProxy takes of it must take
 * its route, and the rest it may refuse. Text is latin1, a character a byte; never the end of a line, and no
 * blank in the target, which would end there.
 */
export function randomBytesRequest(prng: Prng): RequestLine & { readonly target: string } {
  const request = randomRequest(prng);
  const part = prng.pick(["host", "path", "header"] as const);
  if (part === "host") return { ...request, host: withBytes(prng, request.host) };
  if (part === "header") {
    const name = prng.pick(NAMES);
    const value = withBytes(prng, request.headers[name] ?? "");
    return { ...request, headers: { ...request.headers, [name]: value } };
  }
  if (request.target === "*") return request;
  const target =
    request.target[0] + withBytes(prng, request.target.slice(1)).replaceAll(/[ \t]/g, "");
  return { ...request, target, path: target.split("?")[0] ?? "" };
}

function withBytes(prng: Prng, text: string): string {
  const at = prng.int(0, text.length);
  const bytes = Array.from({ length: prng.int(1, 4) }, () => String.fromCharCode(prng.int(0, 255)));
  return (text.slice(0, at) + bytes.join("") + text.slice(at)).replaceAll(/[\r\n]/g, "");
}

/** What HAProxy must answer: the route's name, 404 without one, 400 for what is no host. */
export function expectedAnswer(routes: readonly HttpRouteModel[], request: RequestLine): string {
  // HAProxy takes away blanks around values and one port, be it a number or not.
  const host = trimmed(request.host).replace(/:[^:\]]*$/, "");
  const headers = Object.fromEntries(
    Object.entries(request.headers).map(([name, value]) => [name, trimmed(value)]),
  );
  const found = matchRoute(routes, { ...request, host, headers });
  return found === undefined ? "404" : found.id;
}

/** Without the blanks that HTTP knows around values; other kinds of blanks are part of them. */
function trimmed(value: string): string {
  return value.replaceAll(/^[ \t]+|[ \t]+$/g, "");
}

/** One connection that asks again and again; opened anew when HAProxy closes it. */
export class RawClient {
  #socket: Socket | undefined;
  #text = "";

  /** The route that answered, or the status. */
  async ask(request: RequestLine & { readonly target: string }): Promise<string> {
    const lines = [
      `${request.method} ${request.target} HTTP/1.1`,
      `Host: ${request.host}`,
      ...Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`),
      "Content-Length: 0",
    ];
    for (let attempt = 0; attempt < 2; attempt++) {
      const socket = await this.#open();
      socket.write(`${lines.join("\r\n")}\r\n\r\n`, "latin1");
      const head = await this.#head(socket);
      if (head === undefined) continue;
      const status = head.slice(9, 12);
      const leads = /^location: http:\/\/(r\d+)\.test/im.exec(head)?.[1];
      return status === "302" ? (leads ?? "302") : status;
    }
    return "closed";
  }

  close(): void {
    this.#socket?.destroy();
  }

  async #open(): Promise<Socket> {
    if (this.#socket !== undefined && !this.#socket.destroyed) return this.#socket;
    const socket = connect(HTTP_PORT, "127.0.0.1").setEncoding("latin1");
    socket.on("error", () => {});
    await once(socket, "connect");
    this.#socket = socket;
    this.#text = "";
    return socket;
  }

  /** Reads one answer whole and returns its head; `undefined` when the connection ended before. */
  async #head(socket: Socket): Promise<string | undefined> {
    for (;;) {
      const end = this.#text.indexOf("\r\n\r\n");
      if (end >= 0) {
        const head = this.#text.slice(0, end);
        const length = Number(/^content-length: (\d+)$/im.exec(head)?.[1] ?? 0);
        if (this.#text.length >= end + 4 + length) {
          this.#text = this.#text.slice(end + 4 + length);
          if (/^connection: close/im.test(head)) socket.destroy();
          return head;
        }
      }
      const more = await new Promise<string | undefined>((resolve) => {
        const onData = (chunk: string) => done(chunk);
        const onClose = () => done(undefined);
        const done = (value: string | undefined) => {
          socket.off("data", onData);
          socket.off("close", onClose);
          resolve(value);
        };
        socket.once("data", onData);
        socket.once("close", onClose);
        if (socket.destroyed) onClose();
      });
      if (more === undefined) {
        socket.destroy();
        return undefined;
      }
      this.#text += more;
    }
  }
}
