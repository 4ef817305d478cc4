/** `nft` as a function: text in, listing out. Refusals are values, a missing program is one too. */

import type { Clock } from "@berth/base";
import { runProgram } from "./program.ts";
import type { NetPart, NetProblem } from "./report.ts";

export interface NftOptions {
  readonly nftProgram: string;
  readonly clock: Clock;
}

/** A table of a hundred thousand elements loads in half a second, on a machine that does little else. */
const NFT_TIMEOUT_MS = 10_000;
/** Of what nft says about a refusal: the first lines name the rule. */
const DETAIL_LENGTH_MAX = 500;

export type NftResult =
  | { readonly kind: "done"; readonly stdout: string }
  /** Nothing has changed. */
  | { readonly kind: "refused"; readonly detail: string }
  | { readonly kind: "missing" };

/** One transaction of `text`: all of it or nothing. */
export function applyRules(options: NftOptions, text: string): Promise<NftResult> {
  return run(options, ["-f", "-"], text);
}

/** A listing, `["-j", "list", "chains", "inet"]`. */
export function listRules(options: NftOptions, args: readonly string[]): Promise<NftResult> {
  return run(options, args, "");
}

async function run(
  { nftProgram: file, clock }: NftOptions,
  args: readonly string[],
  input: string,
): Promise<NftResult> {
  const result = await runProgram({ file, args, input, clock, timeoutMs: NFT_TIMEOUT_MS });
  if (result.kind === "missing") return result;
  if (result.code === 0) return { kind: "done", stdout: result.stdout };
  return { kind: "refused", detail: result.stderr.trim().slice(0, DETAIL_LENGTH_MAX) };
}

/** What people should know about a result that is not `done`. */
export function nftProblem(
  part: NetPart,
  program: string,
  result: Exclude<NftResult, { kind: "done" }>,
): NetProblem {
  if (result.kind === "missing") return { code: "program_missing", program };
  const { detail } = result;
  return /not permitted|denied/i.test(detail)
    ? { code: "not_permitted", id: part, detail }
    : { code: "part_failed", part, detail };
}
