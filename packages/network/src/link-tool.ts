/** `ip` and `bridge` as functions: rows out, batches of commands in. What fails is a sentence. */

import type { Clock } from "@berth/base";
import { runProgram } from "./program.ts";

/** One object of a listing. */
export type Row = Readonly<Record<string, unknown>>;

const PROGRAM_TIMEOUT_MS = 5_000;
/** Of what a program says about a batch: the first lines name the command. */
const DETAIL_LENGTH_MAX = 500;

/** What `file` lists as JSON, or why it cannot. */
export async function listRows(
  clock: Clock,
  file: string,
  args: readonly string[],
): Promise<readonly Row[] | string> {
  const result = await runProgram({ file, args, clock, timeoutMs: PROGRAM_TIMEOUT_MS });
  if (result.kind === "missing") return `${file} is not installed`;
  if (result.code !== 0) return `${file}: ${result.stderr.trim()}`;
  const rows: unknown = JSON.parse(result.stdout.trim() === "" ? "[]" : result.stdout);
  return Array.isArray(rows) ? rows.filter(isRow) : [];
}

/** Runs all of `lines`, also after one that fails; returns what was said about those that did. */
export async function runBatch(
  clock: Clock,
  file: string,
  lines: readonly string[],
): Promise<string | undefined> {
  if (lines.length === 0) return undefined;
  const input = `${lines.join("\n")}\n`;
  const args = ["-force", "-batch", "-"];
  const result = await runProgram({ file, args, input, clock, timeoutMs: PROGRAM_TIMEOUT_MS });
  if (result.kind === "missing") return `${file} is not installed`;
  if (result.code === 0) return undefined;
  return `${file}: ${result.stderr.trim().slice(0, DETAIL_LENGTH_MAX)}`;
}

export function isRow(value: unknown): value is Row {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The row under `key`; an empty one where there is none. */
export function rowAt(row: Row, key: string): Row {
  const value = row[key];
  return isRow(value) ? value : {};
}

/** The text or number under `key`, as text; empty where there is none. */
export function wordAt(row: Row, key: string): string {
  const value = row[key];
  return typeof value === "string" || typeof value === "number" ? String(value) : "";
}

/** The objects under `key`. */
export function rowsAt(row: Row, key: string): readonly Row[] {
  const value = row[key];
  return Array.isArray(value) ? value.filter(isRow) : [];
}
