/**
 * `x-berth.routes`: who gets which requests from outside, and what is done with them on the way.
 *
 * Form is read here; what makes sense together is decided when the stack is compiled (stack/compile-routes.ts).
 */

import { type Codec, refuse } from "../codec/codec.ts";
import { list, tableOf, textOrTexts, textTable } from "../codec/collection-codecs.ts";
import { field, record } from "../codec/record-codec.ts";
import {
  bool,
  bytes,
  durationMs,
  integer,
  oneOf,
  text,
  textOrInteger,
} from "../codec/scalar-codecs.ts";
import type {
  ErrorPageWish,
  HeaderChanges,
  HeaderWish,
  RedirectWish,
  RewriteWish,
  Route,
  StickyWish,
} from "../model/route-model.ts";
import { isNull, kindName, mapTree, type Tree } from "../tree/tree.ts";

const port = integer({ min: 1, max: 65_535 });
const closed = { closed: true };

/** What a text in place of a mapping stands for: the mapping with this one key. */
function shortFor(key: string, words: string) {
  return {
    expand: (tree: Tree) =>
      tree.kind === "scalar" && !isNull(tree)
        ? mapTree(tree, new Map([[key, { key: tree, value: tree }]]))
        : undefined,
    short: { words, schema: { type: "string" } },
  };
}

const header = record<HeaderWish>(
  {
    exact: field("exact", textOrInteger),
    prefix: field("prefix", text),
    regex: field("regex", text),
    present: field("present", bool),
  },
  { ...closed, ...shortFor("exact", "a value") },
);

const HOST = /^(\*\.)?([a-z0-9_]([a-z0-9_-]*[a-z0-9_])?\.)*[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?$/i;

const host: Codec<string> = {
  ...text,
  read(tree, path, reading) {
    const written = text.read(tree, path, reading);
    if (written === undefined || HOST.test(written) || written === "*" || reading.lenient) {
      return written?.toLowerCase();
    }
    return refuse(reading, tree, path, {
      found: `is ${JSON.stringify(written)}`,
      expected: "a host name such as shop.example.com, *.example.com or *",
    });
  },
};

const pathFromRoot: Codec<string> = {
  ...text,
  read(tree, path, reading) {
    const written = text.read(tree, path, reading);
    if (written === undefined || /^\/[^\s?#]*$/.test(written) || reading.lenient) return written;
    return refuse(reading, tree, path, {
      found: `is ${JSON.stringify(written)}`,
      expected: "a path from /",
    });
  },
};

/** Truth values, and words for what they cannot say. */
const tls: Codec<NonNullable<Route["tls"]>> = {
  read(tree, path, reading) {
    const word = tree.kind === "scalar" ? tree.text.toLowerCase() : "";
    if (word === "passthrough" || word === "required") return word;
    if (["on", "true", "yes", "both"].includes(word)) return "both";
    if (["off", "false", "no"].includes(word)) return "off";
    return refuse(reading, tree, path, {
      found: `is ${kindName(tree)}`,
      expected: "true (on), false (off), required or passthrough",
    });
  },
  print: (value) => value,
  schema: { enum: ["on", "both", "required", "off", "passthrough", true, false] },
};

/** `"1.3"`, also as a number. */
const tlsVersion: Codec<"1.2" | "1.3"> = {
  read(tree, path, reading) {
    if (tree.kind === "scalar" && (tree.text === "1.2" || tree.text === "1.3")) return tree.text;
    return refuse(reading, tree, path, { found: `is ${kindName(tree)}`, expected: "1.2 or 1.3" });
  },
  print: (value) => value,
  schema: { enum: ["1.2", "1.3", 1.2, 1.3] },
};

const hsts: Codec<NonNullable<Route["hsts"]>> = record<NonNullable<Route["hsts"]>>(
  { maxAgeMs: field("max_age", durationMs), subdomains: field("subdomains", bool) },
  {
    ...closed,
    expand: (tree) =>
      tree.kind === "scalar" && tree.text === "true" ? mapTree(tree, new Map()) : undefined,
    short: { words: "true", schema: { const: true } },
  },
);

const rewrite = record<RewriteWish>(
  {
    strip: field("strip", pathFromRoot),
    replace: field("replace", pathFromRoot),
    regex: field("regex", text),
    by: field("by", text),
    path: field("path", pathFromRoot),
  },
  { ...closed, misplaced: { strip_prefix: "strip", prefix: "strip", with: "by" } },
);

const redirect = record<RedirectWish>(
  {
    code: field("code", integer({ min: 301, max: 308 })),
    scheme: field("scheme", oneOf(["http", "https"])),
    host: field("host", host),
    port: field("port", port),
    path: field("path", pathFromRoot),
    prefix: field("prefix", pathFromRoot),
  },
  { ...closed, misplaced: { status: "code", to: "host" } },
);

const headerChanges = record<HeaderChanges>(
  {
    set: field("set", textTable),
    add: field("add", textTable),
    remove: field("remove", textOrTexts),
  },
  closed,
);

const sticky = record<StickyWish>(
  {
    by: field("by", oneOf(["cookie", "source"]), { required: true }),
    cookie: field("cookie", text),
  },
  { ...closed, ...shortFor("by", "cookie, source") },
);

const errorPage = record<ErrorPageWish>(
  {
    body: field("body", text, { required: true }),
    type: field("type", text),
    intercept: field("intercept", bool),
  },
  { ...closed, ...shortFor("body", "the page"), misplaced: { content: "body", html: "body" } },
);

const timeouts = record<NonNullable<Route["timeouts"]>>(
  {
    connectMs: field("connect", durationMs),
    responseMs: field("response", durationMs),
    tunnelMs: field("tunnel", durationMs),
    queueMs: field("queue", durationMs),
    idleMs: field("idle", durationMs),
  },
  { ...closed, misplaced: { read: "response", server: "response", websocket: "tunnel" } },
);

/** One entry of `x-berth.routes`. */
export const route: Codec<Route> = {
  ...record<Route>(
    {
      tcp: field("tcp", port),
      hosts: field("host", list(host, { single: true, identity: (each) => each })),
      path: field("path", pathFromRoot),
      pathExact: field("path_exact", pathFromRoot),
      pathRegex: field("path_regex", text),
      methods: field("methods", textOrTexts),
      headers: field("headers", tableOf(header)),
      port: field("port", port),
      tls: field("tls", tls),
      tlsMin: field("tls_min", tlsVersion),
      hsts: field("hsts", hsts),
      protocol: field("protocol", oneOf(["http1", "h2c", "grpc", "https"])),
      split: field("split", tableOf(integer({ min: 0, max: 100 }))),
      rewrite: field("rewrite", rewrite),
      redirect: field("redirect", redirect),
      requestHeaders: field("request_headers", headerChanges),
      responseHeaders: field("response_headers", headerChanges),
      compress: field("compress", bool),
      bodyMaxBytes: field("body_max", bytes()),
      rate: field(
        "rate",
        record<NonNullable<Route["rate"]>>(
          {
            requests: field("requests", integer({ min: 1 }), { required: true }),
            perMs: field("per", durationMs),
          },
          closed,
        ),
      ),
      auth: field(
        "auth",
        record<NonNullable<Route["auth"]>>(
          { secret: field("secret", text, { required: true }), realm: field("realm", text) },
          { ...closed, misplaced: { users: "secret" } },
        ),
      ),
      allow: field("allow", textOrTexts),
      deny: field("deny", textOrTexts),
      sticky: field("sticky", sticky),
      timeouts: field("timeouts", timeouts),
      retries: field("retries", integer({ min: 0, max: 20 })),
      connectionsMax: field("connections_max", integer({ min: 1 })),
      proxyProtocol: field("proxy_protocol", bool),
      errors: field("errors", tableOf(errorPage)),
      accessLog: field("access_log", bool),
    },
    { closed: true, misplaced: { hosts: "host", hostname: "host", prefix: "path" } },
  ),
  // Extensions are printed as they were written.
  print: () => undefined,
};
