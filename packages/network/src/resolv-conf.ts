/**
 * The resolver file that every container gets: our server on its network's gateway, nothing else.
 *
 * The agent bind-mounts one file per task and rewrites it *in place*: a bind mount follows the inode, so
 * a renamed file would be seen only after the container's restart. No engine resolver is named: it would
 * answer with local or unready copies, and stop when the engine hangs.
 */

export interface ResolvConfInput {
  /** Gateway of the task's first network: the one resolver. */
  readonly gateway: string;
  /** From Compose `dns_search`, else the host's own search list; ours needs none. */
  readonly search?: readonly string[];
  /** From Compose `dns_opt`; they win over ours of the same name. */
  readonly options?: readonly string[];
}

/** glibc and musl read at most six search domains; more only slow down every miss. */
const SEARCH_MAX = 6;

/**
 * `ndots:1` asks for `web` and `a.example.com` as they are, one query each (engines write `ndots:0` or,
 * in Kubernetes, 5, which multiplies queries). One second and five attempts bridge a restart of `net` on a
 * machine that is busy.
 */
const OPTIONS = ["ndots:1", "timeout:1", "attempts:5"];

/** Text of the file. Example: `resolvConf({ gateway: "10.210.3.1" })`. */
export function resolvConf(input: ResolvConfInput): string {
  const given = input.options ?? [];
  const nameOf = (option: string) => option.split(":", 1)[0];
  const ours = OPTIONS.filter((option) => !given.some((other) => nameOf(other) === nameOf(option)));
  const search = (input.search ?? []).slice(0, SEARCH_MAX);
  return [
    "# Written by Berth; rewritten in place when the task's network changes.",
    `nameserver ${input.gateway}`,
    ...(search.length === 0 ? [] : [`search ${search.join(" ")}`]),
    `options ${[...ours, ...given].join(" ")}`,
    "",
  ].join("\n");
}
