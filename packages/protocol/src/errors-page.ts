/** The reference page of error codes, made from the registry: `docs/reference/errors.md`. */

import { ERRORS } from "./errors.ts";

/** The page as Markdown. */
export function errorsPage(): string {
  const rows = Object.entries(ERRORS).map(
    ([code, { status, retryable, title, advice }]) =>
      `| \`${code}\` | ${status} | ${retryable ? "yes" : "no"} | ${title} | ${advice} |`,
  );
  return `${HEAD}\n${rows.join("\n")}\n`;
}

const HEAD = `# Error codes

Made from the registry in \`packages/protocol/src/errors.ts\`; a test compares. To write it anew:
\`npm run golden\`.

Errors travel as problem documents (RFC 9457, \`application/problem+json\`): \`type\` is \`urn:berth:error:CODE\`, \`code\`
is stable, \`detail\` is this occurrence in one sentence, \`details\` has limits, values and names, \`instance\` names the
occurrence in the server's log.

| code | status | again? | meaning | what to do |
|---|---|---|---|---|`;
