/** `berth platform migrate-store` */

import { silentLogger, systemClock } from "@berth/base";
import { migrateStore, setEmbeddedAside } from "@berth/control-plane/server/migrate-store";
import { ProtocolError } from "@berth/protocol";
import type { CommandDescription, CommandInput } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { lifecycleOf } from "../platform/platform-life.ts";
import { readSettings, writeSettings } from "../platform/settings.ts";
import { STORE_FILE_OPTIONS, storeOption } from "../platform/store-option.ts";
import { BUNDLED } from "../platform/version.ts";

export const command: CommandDescription = {
  summary: "move the cluster's state to etcd, or back into a file, while Berth is stopped",
  details:
    "Copies everything into the other store, which must be empty, compares both, and has this machine's server use it from its next start. Containers run on meanwhile. The old store stays as it was; a file is set aside. Other servers of the cluster are told by berth platform start --store.",
  options: [
    {
      flags: "--to <url>",
      summary: "where the state shall lie: embedded, or etcds://HOST:PORT,HOST:PORT",
    },
    ...STORE_FILE_OPTIONS,
  ],
  examples: [
    {
      line: "berth platform migrate-store --to etcds://10.0.0.1:2379,10.0.0.2:2379,10.0.0.3:2379",
      does: "from the file into etcd; berth platform start goes on from there",
    },
    { line: "berth platform migrate-store --to embedded", does: "and back" },
  ],
  run,
};

async function run(input: CommandInput): Promise<number> {
  const { paths } = lifecycleOf(input);
  const settings = readSettings(paths.settings);
  const from = settings.store ?? { url: "embedded" };
  const to = storeOption(input, "to", undefined);
  if (to === undefined) {
    throw new ProtocolError("invalid_request", "--to is missing: embedded or etcds://HOST:PORT");
  }
  const worker = BUNDLED ? { workerUrl: new URL("./sqlite-worker.mjs", import.meta.url) } : {};
  const { dataDir } = paths;
  const world = { clock: systemClock, log: silentLogger, signal: input.signal };
  const copied = await migrateStore({ dataDir, from, to, ...world, ...worker });
  writeSettings(paths.settings, { ...settings, store: to });
  const isFile = from.url === "embedded";
  const aside = isFile ? await setEmbeddedAside(dataDir, systemClock.now()) : undefined;
  if (input.output.json) input.output.line(JSON.stringify({ ...copied, to: to.url, aside }));
  else {
    input.output.line(`${copied.entries} entries are in ${to.url}; berth platform start uses it`);
    if (aside !== undefined) input.output.note(`the old file is ${aside}`);
  }
  return EXIT.done;
}
