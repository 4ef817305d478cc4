/**
 * Lines of the access log, as HAProxy writes them: one JSON object each. docs/reference/routes.md names the
 * fields. HAProxy's own remarks (a proxy has stopped) get in between as text; readers pass over them.
 *
 * Neither queries nor headers are in it: passwords and tokens travel there. Texts of clients are escaped.
 */

/** Text of a client, as JSON. */
function text(expression: string): string {
  return `"%[${expression},json(utf8s)]"`;
}

function line(fields: Readonly<Record<string, string>>): string {
  return `{${Object.entries(fields)
    .map(([name, value]) => `"${name}":${value}`)
    .join(",")}}`;
}

/** With milliseconds: a number has to become text before digits can be taken from it. */
const TIME =
  '"%[date(0,ms),div(1000),utime(%Y-%m-%dT%H:%M:%S)]' +
  '.%[date(0,ms),mod(1000),add(1000),concat(x),bytes(1,3)]Z"';
/** Servers are named `task:address:port`. */
const TASK = '"%[srv_name,field(1,:)]"';

/** `log-format` of HTTP frontends. */
export const HTTP_LOG_FORMAT = line({
  time: TIME,
  client: '"%[src]"',
  method: text("capture.req.method"),
  host: text("var(txn.host)"),
  path: text("capture.req.uri,field(1,?)"),
  protocol: '"%HV"',
  tls: '"%sslv"',
  // Without the `http:` before it; an expression would cost more than the rest of the line.
  route: '"%[var(txn.route),bytes(5)]"',
  service: '"%[var(txn.service)]"',
  task: TASK,
  status: "%ST",
  bytesIn: "%U",
  bytesOut: "%B",
  requestMs: "%TR",
  queueMs: "%Tw",
  connectMs: "%Tc",
  answerMs: "%Tr",
  totalMs: "%Ta",
  retries: "%rc",
  end: '"%tsc"',
});

/** `log-format` of TCP frontends. */
export const TCP_LOG_FORMAT = line({
  time: TIME,
  client: '"%[src]"',
  protocol: '"TCP"',
  route: '"%[be_name,bytes(4)]"',
  service: '"%[var(txn.service)]"',
  task: TASK,
  bytesIn: "%U",
  bytesOut: "%B",
  queueMs: "%Tw",
  connectMs: "%Tc",
  totalMs: "%Tt",
  retries: "%rc",
  end: '"%ts"',
});

/** `error-log-format`: connections that ended before a request, mostly failed handshakes. */
export const ERROR_LOG_FORMAT = line({
  time: TIME,
  client: '"%ci"',
  frontend: '"%f"',
  error: '"%[fc_err_str]"',
});
