/** A node may limit how many tasks it carries, whatever their size. */

import { type Filter, verb } from "../filter.ts";

export const maxTasks: Filter = {
  rule: "max-tasks",
  prepare: () => [
    (node) => {
      const limit = node.model.maxTasks;
      const count = node.held.length + 1;
      if (limit === undefined || count <= limit) return undefined;
      return { about: "tasks", missing: count - limit, unit: "count" };
    },
  ],
  describe: ({ count }) => `${verb(count, "carries", "carry")} as many tasks as allowed`,
  remedy: ({ node, missing = 1 }) =>
    `${node} were allowed ${missing} ${verb(missing, "task", "tasks")} more`,
};
