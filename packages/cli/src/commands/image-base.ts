/** `berth image base`: base images from the distribution's packages, for companies without internet. */

import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { formatBytes } from "@berth/base";
import { ProtocolError } from "@berth/protocol";
import { type CommandDescription, type CommandInput, flagOption } from "../command.ts";
import { localSettings } from "../connection/context.ts";
import { EXIT } from "../exit-code.ts";
import { BASE_PACKAGES, downloadClosure } from "../image/debian-closure.ts";
import { imageWithLabel, importImage } from "../image/import-image.ts";
import { buildRootTree, hostRelease, packageVersions } from "../image/root-tree.ts";

/** What is inside, as `name=version` words: an image with the same is not made again. */
const BASE_LABEL = "berth.base.packages";
const IMAGE_NAME = /^[a-z0-9]+([._/-][a-z0-9]+)*(:[\w][\w.-]{0,127})?$/;
const PACKAGE_NAME = /^[a-z0-9][a-z0-9.+-]+$/;

export const command: CommandDescription = {
  summary: "make a base image from the distribution's packages",
  details:
    "Downloads the packages and all that they need through the host's own apt sources, unpacks them without running their scripts, and imports the result into the local container engine. Needs no registry and no container.",
  arguments: [
    { name: "image", summary: "name of the image, [NAME/]NAME[:TAG]", required: true },
    { name: "package", summary: "Debian packages to put in", required: false, variadic: true },
  ],
  options: [{ flags: "--busybox-only", summary: "nothing but the static busybox (2 MB)" }],
  examples: [
    {
      line: "berth image base berth/busybox --busybox-only",
      does: "a shell and small tools, 2 MB",
    },
    { line: "berth image base berth/node nodejs", does: "Debian's Node with all its libraries" },
    { line: "berth image base berth/postgres postgresql", does: "PostgreSQL of this release" },
  ],
  run,
};

async function run(input: CommandInput): Promise<number> {
  const { output, words, signal } = input;
  const [image = "", ...packages] = words;
  checkWords(image, packages);
  const [repository = "", tag = "latest"] = image.split(":");
  const folder = mkdtempSync(join(tmpdir(), "berth-image-"));
  try {
    const root = join(folder, "root");
    const all = flagOption(input, "busyboxOnly")
      ? ["busybox-static"]
      : [...BASE_PACKAGES, ...packages];
    output.note(`packages of ${hostRelease()}: ${all.join(" ")}`);
    const { files } = await downloadClosure(all, folder, signal);
    const kept = flagOption(input, "busyboxOnly") ? files.filter(isBusybox) : files;
    const versions = await packageVersions(kept, signal);
    const socket = localSettings(input.environment).engineSocket;
    const present = await imageWithLabel(socket, words[0] ?? "", BASE_LABEL, versions.join(" "));
    if (present !== undefined) {
      showImage(input, { image: `${repository}:${tag}`, imageId: present, versions });
      return EXIT.done;
    }
    const bytes = kept.reduce((sum, file) => sum + statSync(file).size, 0);
    output.note(`unpacking ${kept.length} packages, ${formatBytes(bytes)}`);
    await buildRootTree(kept, root, signal);
    const imageId = await importImage({
      socket,
      root,
      repository,
      tag,
      changes: [
        "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin",
        'CMD ["/bin/sh"]',
        `LABEL ${BASE_LABEL}="${versions.join(" ")}"`,
      ],
      signal,
    });
    showImage(input, { image: `${repository}:${tag}`, imageId, versions });
    return EXIT.done;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

interface BaseImage {
  readonly image: string;
  readonly imageId: string;
  readonly versions: readonly string[];
}

function showImage({ output }: CommandInput, made: BaseImage): void {
  output.line(output.json ? JSON.stringify(made) : `${made.image}  ${made.imageId}`);
}

function isBusybox(file: string): boolean {
  return file.includes("/busybox-static_");
}

function checkWords(image: string, packages: readonly string[]): void {
  if (!IMAGE_NAME.test(image)) {
    throw new ProtocolError("invalid_request", `"${image}" is no image name`, { image });
  }
  const odd = packages.find((name) => !PACKAGE_NAME.test(name));
  if (odd !== undefined) {
    throw new ProtocolError("invalid_request", `"${odd}" is no package name`, { package: odd });
  }
}
