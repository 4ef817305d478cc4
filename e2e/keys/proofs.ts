/** Which check proves which key of the stack file. */

import { BUILD } from "./build-stack.ts";
import { ENGINE } from "./engine-stack.ts";
import { EXTERNAL } from "./external-stack.ts";
import { HEALTH } from "./health-stack.ts";
import { FAILING, LIFE } from "./life-stack.ts";
import { NETWORK, NETWORK_OWNER } from "./network-stack.ts";
import { PROCESS } from "./process-stack.ts";
import { ROLLOUT } from "./rollout-stack.ts";
import type { KeyStack } from "./scene.ts";
import { STORAGE } from "./storage-stack.ts";

/** Stacks that are deployed once, with the checks that look at them. */
export const KEY_STACKS: readonly KeyStack[] = [
  PROCESS,
  NETWORK_OWNER,
  NETWORK,
  STORAGE,
  EXTERNAL,
  BUILD,
  ENGINE,
  FAILING,
  LIFE,
  HEALTH,
  ROLLOUT,
];

/** Proof by a test that stands beside what it tests. */
export interface ProofElsewhere {
  readonly keys: readonly string[];
  readonly file: string;
  /** Words of its name or description in the file. */
  readonly test: string;
}

const DIALOGUES = "packages/control-plane/src/testdata/stack";
const UPDATE = "services.*.deploy.update_config";
const ROLLBACK = "services.*.deploy.rollback_config";

export const PROOFS_ELSEWHERE: readonly ProofElsewhere[] = [
  {
    keys: [`${UPDATE}.order`],
    file: "e2e/rollout.e2e.test.ts",
    test: "a service that is to stop first never has two copies",
  },
  {
    keys: [`${UPDATE}.failure_action`, `${UPDATE}.monitor`],
    file: "e2e/rollout.e2e.test.ts",
    test: "a release that crashes is rolled back with its reason, and the good one never stops",
  },
  {
    keys: [`${UPDATE}.failure_action`],
    file: `${DIALOGUES}/pause-and-continue.txt`,
    test: "failure_action pause: nothing is replaced any more until a person decides.",
  },
  {
    keys: [`${UPDATE}.parallelism`, `${UPDATE}.delay`],
    file: `${DIALOGUES}/rolling-stop-first.txt`,
    test: "Two at a time, with a pause between batches.",
  },
  {
    keys: [`${UPDATE}.max_failure_ratio`, `${ROLLBACK}.max_failure_ratio`],
    file: `${DIALOGUES}/failure-ratio.txt`,
    test: "A quarter of the copies may fail: the rollout goes on, and is complete",
  },
  {
    keys: ["parallelism", "delay", "order", "monitor", "failure_action"].map(
      (key) => `${ROLLBACK}.${key}`,
    ),
    file: `${DIALOGUES}/rollback-pace.txt`,
    test: "A failed rollout goes back at the pace of rollback_config, not at that of the update.",
  },
  {
    keys: ["services.*.networks.*.interface_name"],
    file: "packages/agent/src/runtime/docker-create.test.ts",
    test: "names interfaces where it can, and says that it cannot elsewhere",
  },
  {
    keys: ["services.*.pull_policy", "services.*.pull_refresh_after"],
    file: "packages/agent/src/sync/resolve-images.test.ts",
    test: "a registry is asked as seldom as the file says",
  },
  {
    keys: ["services.*.extends.service", "services.*.extends.file"],
    file: "packages/compose/src/load/extends-include.test.ts",
    test: "a service extends another one of its file and of another file, in a chain",
  },
  {
    keys: ["include.path", "include.project_directory", "include.env_file"],
    file: "packages/compose/src/load/extends-include.test.ts",
    test: "an included file has its own directory and environment",
  },
  {
    keys: ["services.*.profiles"],
    file: "packages/compose/src/load/extends-include.test.ts",
    test: "profiles choose services; what they leave out may be depended on only when not required",
  },
  {
    keys: ["name"],
    file: "packages/cli/src/stack/load-stack.test.ts",
    test: "the file is found here or above, by Compose's names in their order",
  },
];
