/** `berth platform backup | restore`: the cluster's state with its keys as one encrypted file or object of S3, and back. */

import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { silentLogger, systemClock } from "@berth/base";
import type { BackupKey } from "@berth/control-plane/backup/cipher";
import type { BackupContent, BackupEntry } from "@berth/control-plane/backup/cluster-backup";
import { type ApiClient, asProtocolError, ProtocolError } from "@berth/protocol";
import { type BackupPlace, placeOf, S3_OPTIONS, writeWhole } from "../backup-storage/place.ts";
import { type CommandDescription, type CommandInput, flagOption, textOption } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { EXIT } from "../exit-code.ts";
import { lifecycleOf } from "../platform/platform-life.ts";
import { defaultSettings, type PlatformSettings, readSettings } from "../platform/settings.ts";
import { STORE_FILE_OPTIONS, storeOption } from "../platform/store-option.ts";
import { BUNDLED, VERSION } from "../platform/version.ts";

const KEY_OPTIONS = [
  {
    flags: "--passphrase-file <file>",
    summary: "its first line opens the backup; asked for on a terminal otherwise",
  },
  { flags: "--key-file <file>", summary: "32 bytes or more that nobody can guess, instead" },
] as const;

export const backup: CommandDescription = {
  summary: "write the cluster's state with its keys into one encrypted file, here or on S3",
  details:
    "The store (embedded or etcd) at one moment, the key of the secrets, tokens, and files of stacks. " +
    "Nothing stops meanwhile. Volumes and images are not in it: berth volume backup. " +
    "Without the passphrase or key file nobody reads it, you included.",
  arguments: [
    {
      name: "place",
      summary: "a file or s3://BUCKET/KEY; what exists is not overwritten",
      required: true,
    },
  ],
  options: [...KEY_OPTIONS, ...S3_OPTIONS],
  examples: [
    { line: "sudo berth platform backup cluster.backup", does: "asks for a passphrase, twice" },
    {
      line: "sudo berth platform backup cluster.backup --key-file /root/backup.key",
      does: "by itself, as from a timer",
    },
    {
      line: "sudo berth platform backup s3://backups/cluster.backup --key-file /root/backup.key",
      does: "into a bucket; the key of the storage is in the environment or ~/.aws/credentials",
    },
  ],
  async run(input) {
    const place = await placeOf(input, input.words[0] ?? "");
    const { paths, connect } = lifecycleOf(input);
    const settings = readSettings(paths.settings);
    refuseJoined(settings);
    const key = await keyOf(input, true);
    const { backupOf } = await import("@berth/control-plane/backup/cluster-backup");
    const source = await storeEntries(input, settings, connect());
    try {
      const { dataDir } = paths;
      const now = systemClock.now();
      const described = { dataDir, cluster: source.cluster, version: VERSION, now };
      await writeWhole(place, backupOf({ ...described, entries: source.entries }, key));
    } finally {
      await source.close();
    }
    const content = await checked(place, key);
    report(input, `${place.name} is whole`, { file: place.name, ...content });
    return EXIT.done;
  },
};

export const restore: CommandDescription = {
  summary: "make this machine the server of the cluster in a backup",
  details:
    "Into an empty data folder and an empty store; berth platform start goes on from there. " +
    "Nodes that had joined come back by themselves when this machine has the address of the old server. " +
    "What they run goes on; what the backup does not know of is kept until you deploy it again.",
  arguments: [
    {
      name: "place",
      summary: "a file or s3://BUCKET/KEY of berth platform backup",
      required: true,
    },
  ],
  options: [
    ...KEY_OPTIONS,
    ...S3_OPTIONS,
    { flags: "--store <url>", summary: "where the state shall lie", fallback: "embedded" },
    ...STORE_FILE_OPTIONS,
    { flags: "--dry-run", summary: "read all of the file and change nothing" },
    { flags: "-y, --yes", summary: "do not ask" },
  ],
  examples: [
    { line: "sudo berth platform restore cluster.backup --dry-run", does: "checks the file" },
    {
      line: "sudo berth platform restore cluster.backup --key-file /root/backup.key --yes",
      does: "restores; then: sudo berth platform start",
    },
  ],
  async run(input) {
    const place = await placeOf(input, input.words[0] ?? "");
    const { paths } = lifecycleOf(input);
    const key = await keyOf(input, false);
    const content = await checked(place, key);
    const made = new Date(content.createdAt).toISOString();
    input.output.note(
      `${place.name} is whole: cluster ${content.cluster}, made ${made} by ${content.version}`,
    );
    if (flagOption(input, "dryRun")) return EXIT.done;
    const words = "nothing was restored";
    if (!(await confirmed(input, content.cluster, "the cluster's identifier", words)))
      return EXIT.failed;
    const store = storeOption(input, "store", undefined) ?? { url: "embedded" };
    const { restoreBackup } = await import("@berth/control-plane/backup/cluster-backup");
    await restoreBackup(place.read(), key, {
      ...{ dataDir: paths.dataDir, store, clock: systemClock, log: silentLogger },
      signal: input.signal,
      changed: (name, bytes) => (name === "platform.json" ? settingsHere(bytes, store) : bytes),
      ...(BUNDLED ? { workerUrl: new URL("./sqlite-worker.mjs", import.meta.url) } : {}),
    });
    report(
      input,
      `${paths.dataDir} has the cluster; berth platform start goes on from there`,
      content,
    );
    return EXIT.done;
  },
};

function report(
  input: CommandInput,
  words: string,
  content: BackupContent & { readonly file?: string },
): void {
  const { entries, blobs } = content;
  if (input.output.json) input.output.line(JSON.stringify(content));
  else input.output.line(`${words}: ${entries} entries, ${blobs} files of stacks`);
}

function refuseJoined({ joined }: PlatformSettings): void {
  if (joined === undefined) return;
  const message = `this machine is a node of the cluster at ${joined.url}: make the backup on its server`;
  throw new ProtocolError("invalid_request", message, { url: joined.url });
}

/** What the old machine had of its own is found out anew on this one. */
function settingsHere(bytes: Uint8Array, store: PlatformSettings["store"]): Uint8Array {
  const { store: _before, ...before } = JSON.parse(
    Buffer.from(bytes).toString(),
  ) as PlatformSettings;
  const { engineSocket, engineManaged, installedPackages, systemd } = defaultSettings();
  const own = { engineSocket, engineManaged, installedPackages, systemd };
  const isFile = store === undefined || store.url === "embedded";
  const settings = { ...before, ...own, ...(isFile ? {} : { store }) };
  return Buffer.from(`${JSON.stringify(settings, null, 2)}\n`);
}

/** @throws ProtocolError `invalid_request` without a key: there is no default. */
async function keyOf(input: CommandInput, isNew: boolean): Promise<BackupKey> {
  const { checkKey } = await import("@berth/control-plane/backup/cipher");
  const key = await givenKey(input, isNew);
  checkKey(key);
  return key;
}

async function givenKey(input: CommandInput, isNew: boolean): Promise<BackupKey> {
  const keyFile = textOption(input, "keyFile");
  const passphraseFile = textOption(input, "passphraseFile");
  if (keyFile !== undefined && passphraseFile !== undefined) {
    throw new ProtocolError("invalid_request", "--key-file or --passphrase-file, not both");
  }
  if (keyFile !== undefined) {
    return { kind: "key-file", content: await readNamed(input, keyFile) };
  }
  if (passphraseFile !== undefined) {
    const [first = ""] = (await readNamed(input, passphraseFile)).toString().split(/\r?\n/);
    return { kind: "passphrase", passphrase: first };
  }
  if (!process.stdin.isTTY) {
    const message = "a backup needs a key: --key-file FILE or --passphrase-file FILE";
    throw new ProtocolError("invalid_request", message);
  }
  const { ask } = await import("../output/ask.ts");
  const hidden = { signal: input.signal, hidden: true } as const;
  const passphrase = await ask("passphrase: ", hidden);
  if (isNew && passphrase !== (await ask("once more: ", hidden))) {
    throw new ProtocolError("invalid_request", "the two are not the same");
  }
  return { kind: "passphrase", passphrase };
}

async function readNamed(input: CommandInput, name: string): Promise<Buffer> {
  const file = resolve(input.workingDirectory, name);
  try {
    return await readFile(file);
  } catch (cause) {
    const message = `${file} cannot be read: ${cause instanceof Error ? cause.message : cause}`;
    throw new ProtocolError("invalid_request", message, { file }, { cause });
  }
}

interface StoreEntries {
  readonly cluster: string;
  readonly entries: AsyncIterable<BackupEntry>;
  readonly close: () => Promise<void>;
}

/** By the running server; without one, from the store itself. */
async function storeEntries(
  input: CommandInput,
  settings: PlatformSettings,
  api: ApiClient,
): Promise<StoreEntries> {
  const { signal } = input;
  try {
    const { cluster } = await api.call("version", { params: {}, signal });
    const lines = await api.call("snapshotStore", { params: {}, signal });
    return { cluster, entries: entriesOf(lines), close: async () => {} };
  } catch (error) {
    if (asProtocolError(error).code !== "unavailable") throw error;
    input.output.note("no server answers: the store is read without one");
  }
  const { openStore } = await import("@berth/control-plane/server/open-store");
  const { everything } = await import("@berth/control-plane/store/copy-store");
  const { paths } = lifecycleOf(input);
  const worker = BUNDLED ? { workerUrl: new URL("./sqlite-worker.mjs", import.meta.url) } : {};
  const world = { dataDir: paths.dataDir, clock: systemClock, log: silentLogger, ...worker };
  const { store } = await openStore({ ...world, choice: settings.store ?? {} });
  const cluster = (await readFile(paths.clusterId, "utf8").catch(() => "unknown")).trim();
  const entries = (async function* () {
    const revision = await store.currentRevision();
    for await (const { key, value } of everything(store, revision, signal)) {
      yield [key, value] as const;
    }
  })();
  return { cluster, entries, close: () => store.close() };
}

type SnapshotLine =
  | { readonly key: string; readonly value: string }
  | { readonly entries: number; readonly revision: number };

async function* entriesOf(
  lines: AsyncIterable<SnapshotLine>,
): AsyncGenerator<BackupEntry, void, undefined> {
  let count = 0;
  for await (const line of lines) {
    if ("key" in line) {
      count++;
      yield [line.key, line.value];
    } else if (line.entries === count) return;
    else throw new ProtocolError("unavailable", `${count} of ${line.entries} entries came`);
  }
  throw new ProtocolError("unavailable", "the server's answer was cut off");
}

async function checked({ name, read }: BackupPlace, key: BackupKey): Promise<BackupContent> {
  const { checkBackup } = await import("@berth/control-plane/backup/cluster-backup");
  try {
    return await checkBackup(read(), key);
  } catch (cause) {
    const { code, message } = asProtocolError(cause);
    if (code !== "invalid_request") throw cause;
    throw new ProtocolError(code, `${name}: ${message}`, { file: name }, { cause });
  }
}
