/** Values as words of HAProxy's configuration. Values have no control characters: the model's border. */

/** One word, taken literally. */
export function quoted(value: string): string {
  return `'${value.replaceAll("'", String.raw`'\''`)}'`;
}

/** One word where HAProxy would take `%` for the beginning of a variable. */
export function quotedFormat(value: string): string {
  return quoted(value.replaceAll("%", "%%"));
}

/** Text that a regular expression (PCRE) matches literally. */
export function escapedRegex(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9/_-]/g, String.raw`\$&`);
}
