/** `berth node join` */

import { formatDuration, parseDuration } from "@berth/base";
import { type Invitation, ProtocolError } from "@berth/protocol";
import { type CommandDescription, type CommandInput, textOption } from "../command.ts";
import { EXIT } from "../exit-code.ts";

export const INVITATION_OPTIONS = [
  { flags: "--ttl <duration>", summary: "how long it may be used: 1m to 7d", fallback: "1h" },
  { flags: "--node <name>", summary: "only a host with this name", fallback: "its host name" },
  {
    flags: "--address <address>",
    summary: "by which the new host reaches this server",
    fallback: "the first of this machine's",
  },
] as const;

export const command: CommandDescription = {
  summary: "print the command that makes another host a node",
  details:
    "The command is for one host and for a limited time. Whoever has it can run containers of this cluster: treat it as a password. It fetches Berth and Node from this server, checks the host, and changes nothing when a check fails. On a host that is a node already it takes over this server's version; containers keep running, and the token stays unused. The first call opens the cluster's port (7711, TLS) on this machine.",
  options: [...INVITATION_OPTIONS],
  examples: [
    { line: "berth node join", does: "a command to paste on the new host" },
    { line: "berth node join --ttl 10m --node db-1", does: "for ten minutes, for the host db-1" },
    { line: "berth node join --json", does: "the same for a program that sets hosts up" },
  ],
  run: (input) => printInvitation(input),
};

/** The line for one host; `wish` says what it becomes by it. */
export async function printInvitation(
  input: CommandInput,
  wish: { readonly server?: true } = {},
): Promise<number> {
  const { output, signal } = input;
  const ttl = textOption(input, "ttl");
  const node = textOption(input, "node");
  const body = {
    ...wish,
    ...(ttl === undefined ? {} : { ttlMs: durationOf(ttl) }),
    ...(node === undefined ? {} : { node }),
  };
  const invitation = await input.connect().call("createJoinToken", { params: {}, body, signal });
  const url = urlOf(invitation, textOption(input, "address"));
  const command = joinCommand(invitation, url);
  if (output.json) {
    output.line(JSON.stringify({ ...invitation, url, command }));
    return EXIT.done;
  }
  const left = formatDuration(invitation.expiresAt - Date.now());
  output.note(`On the new host, as root, within ${left} (one host, once):`);
  output.line(command);
  output.note("Where Berth is installed already:");
  output.note(startCommand(invitation, url));
  return EXIT.done;
}

function durationOf(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined) return Math.round(ms);
  throw new ProtocolError("invalid_request", `"${text}" is no duration such as 10m or 24h`);
}

function urlOf({ urls }: Invitation, address: string | undefined): string {
  const [first] = urls;
  if (address === undefined && first !== undefined) return first;
  if (address === undefined) {
    const message = "this machine has no address that another host could reach: give --address";
    throw new ProtocolError("invalid_request", message);
  }
  const port = first === undefined ? "7711" : new URL(first).port;
  return `https://${address.includes(":") ? address : `${address}:${port}`}`;
}

/** One line for a shell. The pin makes sure that the script comes from this server. */
export function joinCommand({ serverPin, token }: Invitation, url: string): string {
  return `curl -fsSk --pinnedpubkey 'sha256//${serverPin}' ${url}/join.sh | sudo sh -s -- ${url} ${token}`;
}

function startCommand({ token, fingerprint }: Invitation, url: string): string {
  return `sudo berth platform start --join ${url} --token ${token} --fingerprint ${fingerprint}`;
}
