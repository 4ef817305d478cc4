/**
 * What an affinity or anti-affinity is about, in one text: `service@level`. The level is what stands behind
 * the last `@`: levels have none, keys of services may.
 */

export function neighbour(service: string, level: string): string {
  return `${service}@${level}`;
}

/** The parts of `neighbour`. */
export function neighbourOf(about: string): { readonly service: string; readonly level: string } {
  const at = about.lastIndexOf("@");
  return { service: about.slice(0, at), level: about.slice(at + 1) };
}
