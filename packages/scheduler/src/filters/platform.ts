/** The image must exist for the node's operating system and processor. */

import { normalArchitecture } from "../attribute.ts";
import { type Filter, verb } from "../filter.ts";
import type { Platform } from "../model.ts";

export const platform: Filter = {
  rule: "platform",
  prepare: ({ ask }) => {
    const platforms = ask.platforms ?? [];
    if (platforms.length === 0) return [];
    const accepted = new Set(platforms.map(platformKey));
    const wrong = { about: [...accepted].sort().join(" or ") };
    return [(node) => (accepted.has(platformKey(node.model.platform)) ? undefined : wrong)];
  },
  describe: ({ count, about }) => `${verb(count, "is", "are")} not ${about}`,
  remedy: ({ node, about }) => `its image existed for the platform of ${node} (it is for ${about})`,
};

function platformKey({ os, architecture }: Platform): string {
  return `${os.toLowerCase()}/${normalArchitecture(architecture)}`;
}
