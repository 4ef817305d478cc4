/**
 * Dates and times as the reference reads and prints them: a plain `2024-01-02` is a point in time to it, and what a
 * container finds in its environment is Go's `%v` of that.
 */

const TIME =
  /^(\d{4})-(\d{1,2})-(\d{1,2})(?:[Tt](\d{1,2}):(\d{1,2}):(\d{1,2})(\.\d+)?(Z|[-+]\d{2}:\d{2})| +(\d{1,2}):(\d{1,2}):(\d{1,2})(\.\d+)?)?$/;
const FRACTION_DIGITS_MAX = 9;

/** `2024-01-02 00:00:00 +0000 UTC` for a date or a time that exists; `undefined` for other text. */
export function goTime(text: string): string | undefined {
  const match = TIME.exec(text);
  if (match === null) return undefined;
  const [year, month, day] = match.slice(1, 4).map(Number) as [number, number, number];
  const clock = match.slice(match[4] === undefined ? 9 : 4);
  const [hour, minute, second] = clock.slice(0, 3).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
  ];
  const zone = match[8] ?? "Z";
  const [zoneHour, zoneMinute] =
    zone === "Z" ? [0, 0] : [zone.slice(1, 3), zone.slice(4)].map(Number);
  const exists =
    month >= 1 && month <= 12 && day >= 1 && day <= daysOf(year, month) && hour < 24 && minute < 60;
  if (!exists || second >= 60 || (zoneHour ?? 0) > 24 || (zoneMinute ?? 0) >= 60) return undefined;
  const fraction = (clock[3] ?? "").slice(0, FRACTION_DIGITS_MAX + 1).replace(/\.?0*$/, "");
  const offset = zone === "Z" ? "+0000" : zone.replace(":", "");
  const name = /^.0000$/.test(offset) ? "+0000 UTC" : `${offset} ${offset}`;
  const date = [year, month, day].map((part, index) => padded(part, index === 0 ? 4 : 2)).join("-");
  return `${date} ${[hour, minute, second].map((part) => padded(part, 2)).join(":")}${fraction} ${name}`;
}

/** What `goTime` gave, as RFC 3339. */
export function rfc3339(time: string): string {
  const [date, clock, offset = ""] = time.split(" ");
  const zone = offset === "+0000" ? "Z" : `${offset.slice(0, 3)}:${offset.slice(3)}`;
  return `${date}T${clock}${zone}`;
}

function daysOf(year: number, month: number): number {
  return new Date(Date.UTC(2000 + (year % 400), month, 0)).getUTCDate();
}

function padded(value: number, width: number): string {
  return String(value).padStart(width, "0");
}
