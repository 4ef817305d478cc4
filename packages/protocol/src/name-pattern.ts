/**
 * What a name looks like, apart from the schemas: short-lived commands ask this and should not pay for those.
 */

/** A DNS label (RFC 1123): the names of projects, environments, stacks and nodes. */
export const NAME_PATTERN = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$";

const nameExpression = new RegExp(NAME_PATTERN);

/** Whether `text` can be the name of a project, environment, stack or node. */
export function isName(text: string): boolean {
  return nameExpression.test(text);
}
