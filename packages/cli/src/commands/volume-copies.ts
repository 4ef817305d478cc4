/**
 * `berth volume backup | restore`: the content of a volume into a file or an object of S3, and from there back.
 *
 * It is a tar archive with its checksum behind the end, where tar does not look. It is written aside and gets
 * its name when it is whole; before a restore begins it is read once, so that a damaged one changes nothing.
 */

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
import { type BackupPlace, placeOf, S3_OPTIONS } from "../backup-storage/place.ts";
import { type CommandDescription, type CommandInput, flagOption, textOption } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { EXIT } from "../exit-code.ts";
import { serviceOf } from "../target.ts";

type VolumeParams = StackScope & { readonly volume: string };

const VOLUME_ARGUMENT = { name: "volume", summary: "STACK/VOLUME", required: true } as const;
/** Of one frame: below the protocol's limit, and some milliseconds of a disk. */
const PIECE_BYTES = 256 * 1024;

export const backup: CommandDescription = {
  summary: "write the content of a volume into a file or to S3, with a checksum",
  details:
    "Stops the copies that use the volume while it is read, and starts them again. With --live they run on: " +
    "then the file shows no single moment, which few databases can use.",
  arguments: [VOLUME_ARGUMENT],
  options: [
    {
      flags: "--to <place>",
      summary: "a file, or s3://BUCKET/KEY; what exists is not overwritten",
    },
    { flags: "--live", summary: "do not stop anybody" },
    ...S3_OPTIONS,
    { flags: "--dry-run", summary: "say what would be stopped, change nothing" },
    { flags: "-y, --yes", summary: "do not ask" },
  ],
  examples: [
    {
      line: "berth volume backup shop/db-data --to db-data.tar --yes",
      does: "stops its users, writes the file, starts them",
    },
    { line: "tar tvf db-data.tar", does: "looks into the file" },
    {
      line: "berth volume backup shop/db-data --to s3://backups/db-data.tar --s3-endpoint https://s3.example --yes",
      does: "the same into a bucket, with the key in the environment or ~/.aws/credentials",
    },
  ],
  async run(input) {
    const params = paramsOf(input);
    const place = await placeOption(input, "to");
    const api = input.connect();
    const isLive = flagOption(input, "live");
    if (!(await agreed(input, api, params, isLive ? "reads" : "backs up"))) return EXIT.failed;
    if (flagOption(input, "dryRun")) return EXIT.done;
    const { signal } = input;
    const query = isLive ? { live: "true" } : {};
    const sealed = await writeSealed(input, place, () =>
      api.download("backupVolume", { params, query, signal }),
    );
    const { bytes, digest } = sealed;
    if (input.output.json) input.output.line(JSON.stringify({ file: place.name, bytes, digest }));
    else input.output.line(`${place.name}: ${formatBytes(bytes)}, ${digest}`);
    return EXIT.done;
  },
};

export const restore: CommandDescription = {
  summary: "make the content of a backup the content of a volume",
  details:
    "Stops the copies that use the volume, writes the backup into a new volume beside it, and takes that in its place " +
    "when all of it is there and right. Until then nothing of the old content is touched; afterwards it is removed.",
  arguments: [VOLUME_ARGUMENT],
  options: [
    { flags: "--from <place>", summary: "a file or s3://BUCKET/KEY of berth volume backup" },
    ...S3_OPTIONS,
    {
      flags: "--dry-run",
      summary: "check the backup and say what would be stopped, change nothing",
    },
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
    const place = await placeOption(input, "from");
    const checked = await check(place);
    input.output.note(`${place.name} is whole: ${formatBytes(checked.bytes)}, ${checked.digest}`);
    const api = input.connect();
    if (!(await agreed(input, api, params, "replaces the content of"))) return EXIT.failed;
    if (flagOption(input, "dryRun")) return EXIT.done;
    const stream = await api.upgrade("restoreVolume", { params, signal: input.signal });
    const written = await send(stream, place);
    const { bytes, digest } = written;
    if (input.output.json) input.output.line(JSON.stringify({ ...params, bytes, digest }));
    else input.output.line(`${params.stack}/${params.volume} has the content of ${place.name}`);
    return EXIT.done;
  },
};

function paramsOf(input: CommandInput): VolumeParams {
  const { service: volume, ...scope } = serviceOf(input, input.words[0] ?? "");
  return { ...scope, volume };
}

function placeOption(input: CommandInput, name: "to" | "from"): Promise<BackupPlace> {
  const word = textOption(input, name);
  if (word !== undefined) return placeOf(input, word);
  const message = `which file? expected --${name} FILE or --${name} s3://BUCKET/KEY`;
  throw new ProtocolError("invalid_request", message);
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

/** With its seal, which is checked as it passes: what is not whole gets no name. */
async function writeSealed(
  input: CommandInput,
  place: BackupPlace,
  begin: () => Promise<AsyncIterable<Uint8Array>>,
): Promise<SealedContent> {
  const sink = await place.begin();
  try {
    let content: SealedContent | undefined;
    const sealed = await begin();
    const passing = (async function* () {
      for await (const chunk of sealed) {
        await sink.write(chunk);
        yield chunk;
      }
    })();
    for await (const _checked of unsealedArchive(passing, (end) => {
      content = end;
    })) {
      input.signal.throwIfAborted();
    }
    if (content === undefined) throw new ProtocolError("unavailable", "the backup was cut off");
    await sink.finish();
    return content;
  } catch (error) {
    await sink.abandon();
    throw error;
  }
}

async function check({ name, read }: BackupPlace): Promise<SealedContent> {
  let content: SealedContent | undefined;
  let broken: unknown;
  const bytes = (async function* () {
    try {
      yield* read();
    } catch (error) {
      broken = error;
      throw error;
    }
  })();
  try {
    for await (const _piece of unsealedArchive(bytes, (end) => {
      content = end;
    }));
  } catch (cause) {
    // Storage that cannot be read says why; it says nothing of the backup.
    if (broken instanceof ProtocolError) throw broken;
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `${name} is no whole backup of a volume: ${why}`;
    throw new ProtocolError("invalid_request", message, { file: name }, { cause });
  }
  if (content !== undefined) return content;
  throw new ProtocolError("invalid_request", `${name} is no backup of a volume`, { file: name });
}

async function send(stream: FrameStream, { read }: BackupPlace): Promise<SealedContent> {
  let unread: { readonly error: unknown } | undefined;
  const sending = (async () => {
    for await (const piece of piecesOf(read())) await stream.send("data", piece);
    await stream.send("end", new Uint8Array());
  })();
  // The answer says why when nothing can be sent any more; when nothing can be read, there will be none.
  sending.catch(() => {});
  async function* piecesOf(bytes: AsyncIterable<Uint8Array>) {
    try {
      for await (const chunk of bytes) {
        for (let at = 0; at < chunk.length; at += PIECE_BYTES) {
          yield chunk.subarray(at, at + PIECE_BYTES);
        }
      }
    } catch (error) {
      unread = { error };
      stream.close();
    }
  }
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
  if (unread !== undefined) throw unread.error;
  await sending;
  const message =
    "the stream ended before the volume was restored: berth volume describe says more";
  throw new ProtocolError("unavailable", message);
}
