/**
 * Durations as Go writes and reads them (`1m30s`, `1.5h`, `500ms`), in milliseconds.
 *
 * Fractions of a millisecond are kept as a fraction; nothing here rounds, so printing what was read gives the
 * same text up to 2^53 nanoseconds (104 days) and the same length beyond.
 */

const UNIT_NS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  µs: 1e3,
  μs: 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};

const PART = /(\d*)\.?(\d*)(ns|us|µs|μs|ms|s|m|h)/y;
/** Go's limit: 2^63 nanoseconds, 292 years. */
const DURATION_NS_MAX = 2n ** 63n;
const TEXT_LENGTH_MAX = 200;

/** Milliseconds; `undefined` when `text` is no duration. */
export function parseGoDuration(text: string): number | undefined {
  const negative = text.startsWith("-");
  const body = text.replace(/^[-+]/, "");
  if (body === "0") return 0;
  if (body === "" || body.length > TEXT_LENGTH_MAX) return undefined;
  let totalNs = 0n;
  PART.lastIndex = 0;
  while (PART.lastIndex < body.length) {
    const part = PART.exec(body);
    if (part === null) return undefined;
    const [, whole = "", fraction = "", unit = ""] = part;
    if (whole === "" && fraction === "") return undefined;
    const unitNs = UNIT_NS[unit] ?? 0;
    totalNs +=
      BigInt(whole) * BigInt(unitNs) + BigInt(Math.trunc(Number(`0.${fraction}`) * unitNs));
  }
  if (totalNs >= DURATION_NS_MAX) return undefined;
  const ms = Number(totalNs / 1_000_000n) + Number(totalNs % 1_000_000n) / 1e6;
  return negative ? -ms : ms;
}

/** `90000` → `1m30s`, as Go prints it. */
export function formatGoDuration(ms: number): string {
  if (ms < 0) return `-${formatGoDuration(-ms)}`;
  if (ms === 0) return "0s";
  const ns = BigInt(Math.trunc(ms)) * 1_000_000n + BigInt(Math.round((ms % 1) * 1e6));
  if (ns < 1_000n) return `${ns}ns`;
  if (ns < 1_000_000n) return `${decimal(ns, 3)}µs`;
  if (ns < 1_000_000_000n) return `${decimal(ns, 6)}ms`;
  const minuteNs = 60_000_000_000n;
  const minutes = ns / minuteNs;
  const seconds = `${decimal(ns % minuteNs, 9)}s`;
  if (minutes === 0n) return seconds;
  if (minutes < 60n) return `${minutes}m${seconds}`;
  return `${minutes / 60n}h${minutes % 60n}m${seconds}`;
}

/** `value` with the decimal point `digits` from the right, without trailing zeros. */
function decimal(value: bigint, digits: number): string {
  const padded = value.toString().padStart(digits + 1, "0");
  const whole = padded.slice(0, -digits);
  const fraction = padded.slice(-digits).replace(/0+$/, "");
  return fraction === "" ? whole : `${whole}.${fraction}`;
}
