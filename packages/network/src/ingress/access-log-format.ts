/**
 * Lines of the access log as HAProxy writes them: short, because every request pays for its line. Whoever
 * reads them gets JSON (`access-log-line.ts`); docs/reference/routes.md names the fields.
 *
 * A kind, the milliseconds since 1970 and fields with one space between. Texts of clients cannot pretend to be
 * something else: a method and a client's address hold no space, HAProxy writes a path's blanks, quotes and
 * bytes outside ASCII as `#XX`, and the host, which may hold anything but a line's end, comes last. HAProxy's own remarks (a proxy
 * has stopped) get in between as text; readers pass over them.
 *
 * Neither queries nor headers are in it: passwords and tokens travel there.
 */

/** First letter of a line. */
export const LINE_KINDS = { http: "H", tcp: "T", error: "E" } as const;

/** A plain number costs a third of a date in words. */
const TIME = "%[date(0,ms)]";

/** In the order in which access-log-line.ts takes them; `%b` is the route's section, `%s` the server. */
export const HTTP_LOG_FORMAT =
  `${LINE_KINDS.http} ${TIME} %[var(txn.service)] %b %s %ci %HM %HV %sslv %ST` +
  " %U %B %TR %Tw %Tc %Tr %Ta %rc %tsc %HP %[var(txn.host)]";

export const TCP_LOG_FORMAT = `${LINE_KINDS.tcp} ${TIME} %[var(txn.service)] %b %s %ci %U %B %Tw %Tc %Tt %rc %ts`;

/** Connections that ended before a request, mostly failed handshakes. */
export const ERROR_LOG_FORMAT = `${LINE_KINDS.error} ${TIME} %ci %f %[fc_err_str]`;
