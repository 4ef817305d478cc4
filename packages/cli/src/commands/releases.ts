/** `berth releases` */

import { formatDuration } from "@berth/base";
import { allPages, pageQuery } from "../all-pages.ts";
import type { CommandDescription } from "../command.ts";
import { EXIT } from "../exit-code.ts";
import { table } from "../output/output.ts";
import { targetOf } from "../target.ts";

export const command: CommandDescription = {
  summary: "releases of a stack, newest first",
  arguments: [{ name: "stack", summary: "the stack", required: true }],
  examples: [{ line: "berth releases shop", does: "numbers, ages, images" }],
  async run(input) {
    const target = targetOf(input, input.words[0] ?? "");
    const api = input.connect();
    const { output, signal } = input;
    const { stack } = await api.call("getStack", { params: { ...target }, signal });
    const releases = await allPages((after) =>
      api.call("listReleases", { params: { ...target }, query: pageQuery(after), signal }),
    );
    if (output.json) {
      for (const release of releases) output.line(JSON.stringify(release));
      return EXIT.done;
    }
    const now = Date.now();
    const rows = releases.map((release) => [
      String(release.number),
      release.number === stack.release
        ? "current"
        : release.number === stack.goodRelease
          ? "good"
          : "",
      formatDuration(Math.max(0, now - release.createdAt)),
      release.createdBy,
      Object.values(release.services)
        .map(
          ({ image }) =>
            `${image.reference}@${(image.imageId ?? image.repoDigest ?? "").slice(-12)}`,
        )
        .join(" "),
    ]);
    for (const line of table(["RELEASE", "", "AGE", "BY", "IMAGES"], rows)) output.line(line);
    return EXIT.done;
  },
};
