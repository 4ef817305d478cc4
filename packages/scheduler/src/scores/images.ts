/** Bytes that the node would have to pull before the task can start. */

import { MIB } from "@berth/base";
import type { Score } from "../score.ts";

/** One point for what a gigabit line carries in an eighth of a second; all points at 1.6 GB. */
const BYTES_PER_POINT = 16 * MIB;
const POINTS_MAX = 100;

export const imagesScore: Score = {
  name: "images",
  prepare: ({ ask }) => {
    const images = ask.images ?? [];
    if (images.length === 0) return undefined;
    return (node) => {
      let missingBytes = 0;
      for (const { digest, bytes } of images) {
        if (!Object.hasOwn(node.model.images, digest)) missingBytes += bytes;
      }
      return POINTS_MAX - Math.min(POINTS_MAX, Math.ceil(missingBytes / BYTES_PER_POINT));
    };
  },
};
