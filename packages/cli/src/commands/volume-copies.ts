/**
 * `berth volume backup | restore`: the content of a volume into a file, and from there back.
 *
 * The file is a tar archive with its checksum behind the end, where tar does not look. It is written aside and gets
 * its name when it is whole; before a restore begins it is read once, so that a damaged one changes nothing.
 */

import { createReadStream } from "node:fs";
import { open, rename, rm } from "node:fs/promises";
import { resolve } from "node:path";
import { formatBytes } from "@berth/base";
import {
  type ApiClient,
  errorOfProblem,
  type FrameStream,
  jsonOfFrame,
  ProtocolError,
  type StackScope,
} from "@berth/protocol";
import { type SealedContent, unsealedArchive } from "@berth/protocol/client/sealed-archive";
import { type CommandDescription, type CommandInput, flagOption, textOption } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { EXIT } from "../exit-code.ts";
import { serviceOf } from "../target.ts";

type VolumeParams = StackScope & { readonly volume: string };

const VOLUME_ARGUMENT = { name: "volume", summary: "STACK/VOLUME", required: true } as const;
/** Of one frame: below the protocol's limit, and some milliseconds of a disk. */
const PIECE_BYTES = 256 * 1024;

export const backup: CommandDescription = {
  summary: "write the content of a volume into a file, with a checksum",
  details:
    "Stops the copies that use the volume while it is read, and starts them again. With --live they run on: " +
    "then the file shows no single moment, which few databases can use.",
  arguments: [VOLUME_ARGUMENT],
  options: [
    { flags: "--to <file>", summary: "the file; one that exists is not overwritten" },
    { flags: "--live", summary: "do not stop anybody" },
    { flags: "--dry-run", summary: "say what would be stopped, change nothing" },
    { flags: "-y, --yes", summary: "do not ask" },
  ],
  examples: [
    {
      line: "berth volume backup shop/db-data --to db-data.tar --yes",
      does: "stops its users, writes the file, starts them",
    },
    { line: "tar tvf db-data.tar", does: "looks into the file" },
  ],
  async run(input) {
    const params = paramsOf(input);
    const file = fileOption(input, "to");
    const api = input.connect();
    const isLive = flagOption(input, "live");
    if (!(await agreed(input, api, params, isLive ? "reads" : "backs up"))) return EXIT.failed;
    if (flagOption(input, "dryRun")) return EXIT.done;
    const { signal } = input;
    const query = isLive ? { live: "true" } : {};
    const sealed = await writeAside(input, file, () =>
      api.download("backupVolume", { params, query, signal }),
    );
    const { bytes, digest } = sealed;
    if (input.output.json) input.output.line(JSON.stringify({ file, bytes, digest }));
    else input.output.line(`${file}: ${formatBytes(bytes)}, ${digest}`);
    return EXIT.done;
  },
};

export const restore: CommandDescription = {
  summary: "make the content of a file the content of a volume",
  details:
    "Stops the copies that use the volume, writes the file into a new volume beside it, and takes that in its place " +
    "when all of it is there and right. Until then nothing of the old content is touched; afterwards it is removed.",
  arguments: [VOLUME_ARGUMENT],
  options: [
    { flags: "--from <file>", summary: "a file of berth volume backup" },
    { flags: "--dry-run", summary: "check the file and say what would be stopped, change nothing" },
    { flags: "-y, --yes", summary: "do not ask" },
  ],
  examples: [
    {
      line: "berth volume restore shop/db-data --from db-data.tar --dry-run",
      does: "checks the file",
    },
    {
      line: "berth volume restore shop/db-data --from db-data.tar",
      does: "asks, then replaces what is in the volume",
    },
  ],
  async run(input) {
    const params = paramsOf(input);
    const file = fileOption(input, "from");
    const checked = await check(file);
    input.output.note(`${file} is whole: ${formatBytes(checked.bytes)}, ${checked.digest}`);
    const api = input.connect();
    if (!(await agreed(input, api, params, "replaces the content of"))) return EXIT.failed;
    if (flagOption(input, "dryRun")) return EXIT.done;
    const stream = await api.upgrade("restoreVolume", { params, signal: input.signal });
    const written = await send(stream, file);
    const { bytes, digest } = written;
    if (input.output.json) input.output.line(JSON.stringify({ ...params, bytes, digest }));
    else input.output.line(`${params.stack}/${params.volume} has the content of ${file}`);
    return EXIT.done;
  },
};

function paramsOf(input: CommandInput): VolumeParams {
  const { service: volume, ...scope } = serviceOf(input, input.words[0] ?? "");
  return { ...scope, volume };
}

function fileOption(input: CommandInput, name: "to" | "from"): string {
  const file = textOption(input, name);
  if (file !== undefined) return resolve(input.workingDirectory, file);
  throw new ProtocolError("invalid_request", `which file? expected --${name} FILE`);
}

/** Says what will happen; true when a person agrees, or nothing is asked. */
async function agreed(
  input: CommandInput,
  api: ApiClient,
  params: VolumeParams,
  doing: string,
): Promise<boolean> {
  const { usedBy, volume } = await api.call("getVolume", { params, signal: input.signal });
  const stops =
    usedBy.length === 0 || doing === "reads" ? "" : `, stops ${usedBy.join(", ")} meanwhile`;
  input.output.note(
    `${doing} ${params.stack}/${params.volume} on ${volume.node ?? "no node"}${stops}`,
  );
  const isHarmless = doing !== "replaces the content of" && stops === "";
  if (flagOption(input, "dryRun") || isHarmless) return true;
  return await confirmed(input, params.volume, "the volume's name", "nothing was changed");
}

async function writeAside(
  input: CommandInput,
  path: string,
  begin: () => Promise<AsyncIterable<Uint8Array>>,
): Promise<SealedContent> {
  const aside = `${path}.partial`;
  const file = await openNew(path, aside);
  try {
    let content: SealedContent | undefined;
    const sealed = await begin();
    const passing = (async function* () {
      for await (const chunk of sealed) {
        await file.writeFile(chunk);
        yield chunk;
      }
    })();
    for await (const _checked of unsealedArchive(passing, (end) => {
      content = end;
    })) {
      input.signal.throwIfAborted();
    }
    if (content === undefined) throw new ProtocolError("unavailable", "the backup was cut off");
    await file.sync();
    await file.close();
    await rename(aside, path);
    return content;
  } catch (error) {
    await file.close().catch(() => {});
    await rm(aside, { force: true });
    throw error;
  }
}

/** Both are made: a file that appears meanwhile is not overwritten. */
async function openNew(path: string, aside: string) {
  try {
    await (await open(path, "wx", 0o600)).close();
    await rm(path);
    return await open(aside, "w", 0o600);
  } catch (cause) {
    const exists = cause instanceof Error && "code" in cause && cause.code === "EEXIST";
    const why = exists ? "exists already: name another" : String(cause);
    throw new ProtocolError("invalid_request", `${path} ${why}`, { file: path }, { cause });
  }
}

async function check(file: string): Promise<SealedContent> {
  let content: SealedContent | undefined;
  try {
    const bytes = createReadStream(file) as AsyncIterable<Uint8Array>;
    for await (const _piece of unsealedArchive(bytes, (end) => {
      content = end;
    }));
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `${file} is no whole backup of a volume: ${why}`;
    throw new ProtocolError("invalid_request", message, { file }, { cause });
  }
  if (content !== undefined) return content;
  throw new ProtocolError("invalid_request", `${file} is no backup of a volume`, { file });
}

async function send(stream: FrameStream, file: string): Promise<SealedContent> {
  const sending = (async () => {
    for await (const piece of createReadStream(file, { highWaterMark: PIECE_BYTES })) {
      await stream.send("data", piece as Uint8Array);
    }
    await stream.send("end", new Uint8Array());
  })();
  // The answer says why when nothing can be sent any more.
  sending.catch(() => {});
  try {
    for await (const frame of stream.frames()) {
      if (frame.kind === "data") return jsonOfFrame(frame) as SealedContent;
      if (frame.kind !== "error") continue;
      const problem = errorOfProblem(jsonOfFrame(frame));
      throw problem ?? new ProtocolError("engine_error", "the volume could not be restored");
    }
  } finally {
    stream.close();
  }
  await sending;
  const message =
    "the stream ended before the volume was restored: berth volume describe says more";
  throw new ProtocolError("unavailable", message);
}
