/** The golden configurations: models beside what is rendered from them, for unit and end-to-end tests. */

import { readdirSync, readFileSync } from "node:fs";
import { type ConfigSettings, type RenderedConfig, renderConfig } from "../ingress/config.ts";
import { type IngressPlan, planIngress } from "../ingress/plan.ts";
import { modelOf } from "./model-text.ts";

export const GOLDEN_FOLDER = new URL("../ingress/testdata/", import.meta.url);

/** Names of the models, without ending. */
export function goldenNames(): string[] {
  return readdirSync(GOLDEN_FOLDER)
    .filter((name) => name.endsWith(".model"))
    .map((name) => name.replace(".model", ""));
}

export const GOLDEN_SETTINGS: ConfigSettings = {
  statsSocketPath: "/run/berth/worker.sock",
  insideAddress: "abns@berth-test",
  filesDir: "/run/berth/net",
  accessLog: true,
  connectionsMax: 9_750,
  user: { name: "haproxy", group: "haproxy" },
};

/** What a model becomes, with its files below `filesDir`. */
export function goldenConfig(
  name: string,
  filesDir = GOLDEN_SETTINGS.filesDir,
): { readonly plan: IngressPlan; readonly config: RenderedConfig } {
  const plan = planIngress(modelOf(readFileSync(new URL(`${name}.model`, GOLDEN_FOLDER), "utf8")));
  return { plan, config: renderConfig(plan, { ...GOLDEN_SETTINGS, filesDir }) };
}
