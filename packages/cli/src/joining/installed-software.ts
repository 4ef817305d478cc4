/** What this server runs from, for hosts that join: the files of its bundle and its Node. */

import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Software } from "@berth/control-plane/joining/entrance";
import { ProtocolError, type SoftwareFile } from "@berth/protocol";

interface Place extends SoftwareFile {
  readonly file: string;
}

/** `folder` is a bundle's; absent where the sources run. Digests are taken at the first question. */
export function installedSoftware(folder: string | undefined): Software {
  let known: Promise<readonly Place[]> | undefined;
  const places = () => {
    known ??= lookAt(folder).catch((error: unknown) => {
      known = undefined;
      throw error;
    });
    return known;
  };
  return {
    architecture: process.arch,
    files: async () => (await places()).map(({ file: _file, ...rest }) => rest),
    read: async (digest) => {
      const place = (await places()).find((each) => each.digest === digest);
      return place && createReadStream(place.file);
    },
  };
}

async function lookAt(folder: string | undefined): Promise<readonly Place[]> {
  if (folder === undefined) {
    const message = "this server runs from the sources and has no bundle to give: script/bundle";
    const advice = "on a host with Berth: berth platform start --join";
    throw new ProtocolError("unavailable", message, { advice });
  }
  const places = [await placeOf("node", process.execPath)];
  for (const name of (await readdir(folder)).sort()) {
    places.push(await placeOf(`bundle/${name}`, join(folder, name)));
  }
  return places;
}

async function placeOf(path: string, file: string): Promise<Place> {
  const hash = createHash("sha256");
  await pipeline(createReadStream(file), hash);
  const { size } = await stat(file);
  return { path, file, digest: `sha256:${hash.digest("hex")}`, bytes: size };
}
