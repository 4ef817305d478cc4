/**
 * A line of the access log, as HAProxy writes it: one JSON object. docs/reference/routes.md names the fields.
 *
 * Neither queries nor headers are in it: passwords and tokens travel there. Texts of clients are escaped.
 */

const STRING = (expression: string) => `"%[${expression},json(utf8s)]"`;

/** `log-format` of HTTP frontends. */
export const HTTP_LOG_FORMAT = [
  [
    '"time":',
    '"%[date(0,ms),div(1000),utime(%Y-%m-%dT%H:%M:%S)].%[date(0,ms),mod(1000),add(1000),bytes(1,3)]Z"',
  ],
  ['"client":', '"%[src]"'],
  ['"method":', STRING("capture.req.method")],
  ['"host":', STRING("var(txn.host)")],
  ['"path":', STRING("capture.req.uri,field(1,?)")],
  ['"protocol":', '"%HV"'],
  ['"tls":', '"%sslv"'],
  ['"route":', '"%[var(txn.route)]"'],
  ['"service":', '"%[var(txn.service)]"'],
  ['"task":', '"%[srv_name,field(1,:)]"'],
  ['"status":', "%ST"],
  ['"bytesIn":', "%U"],
  ['"bytesOut":', "%B"],
  ['"requestMs":', "%TR"],
  ['"queueMs":', "%Tw"],
  ['"connectMs":', "%Tc"],
  ['"answerMs":', "%Tr"],
  ['"totalMs":', "%Ta"],
  ['"retries":', "%rc"],
  ['"end":', '"%tsc"'],
]
  .map(([name = "", value = ""]) => name + value)
  .join(",");

/** `log-format` of TCP frontends. */
export const TCP_LOG_FORMAT = [
  [
    '"time":',
    '"%[date(0,ms),div(1000),utime(%Y-%m-%dT%H:%M:%S)].%[date(0,ms),mod(1000),add(1000),bytes(1,3)]Z"',
  ],
  ['"client":', '"%[src]"'],
  ['"protocol":', '"TCP"'],
  ['"route":', '"%b"'],
  ['"task":', '"%[srv_name,field(1,:)]"'],
  ['"bytesIn":', "%U"],
  ['"bytesOut":', "%B"],
  ['"queueMs":', "%Tw"],
  ['"connectMs":', "%Tc"],
  ['"totalMs":', "%Tt"],
  ['"retries":', "%rc"],
  ['"end":', '"%ts"'],
]
  .map(([name = "", value = ""]) => name + value)
  .join(",");
