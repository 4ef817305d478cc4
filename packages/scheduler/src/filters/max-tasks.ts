/** A node may limit how many tasks it carries, whatever their size. */

import { type Filter, verb } from "../filter.ts";

export const maxTasks: Filter = {
  rule: "max-tasks",
  prepare: () => [
    (node) => {
      const limit = node.model.maxTasks;
      return limit === undefined || node.held.size < limit ? undefined : FULL;
    },
  ],
  describe: ({ count }) => `${verb(count, "carries", "carry")} as many tasks as allowed`,
  remedy: ({ node }) => `${node} were allowed one task more`,
};

const FULL = { about: "tasks" };
