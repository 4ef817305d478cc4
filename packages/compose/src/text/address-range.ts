/** `10.9.0.10`, or `10.9.0.10-10.9.0.19`: IPv4 addresses as a file lists them. */

/** More copies than this have no fixed addresses. */
export const ADDRESSES_MAX = 1_024;

const ADDRESS = /^(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)(?:\.(?!$)|$)){4}$/;

/** The addresses in order; `undefined` when the text is none, goes backwards or stands for too many. */
export function expandAddresses(text: string): readonly string[] | undefined {
  const [firstText = "", lastText = firstText, ...rest] = text
    .split("-")
    .map((part) => part.trim());
  const first = numberOf(firstText);
  const last = numberOf(lastText);
  if (first === undefined || last === undefined || rest.length > 0) return undefined;
  const count = last - first + 1;
  if (count < 1 || count > ADDRESSES_MAX) return undefined;
  return Array.from({ length: count }, (_, index) => textOf(first + index));
}

function numberOf(text: string): number | undefined {
  if (!ADDRESS.test(text)) return undefined;
  return text.split(".").reduce((sum, part) => sum * 256 + Number(part), 0);
}

function textOf(address: number): string {
  return [24, 16, 8, 0].map((shift) => Math.floor(address / 2 ** shift) % 256).join(".");
}
