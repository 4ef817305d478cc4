export type { PrintedMap } from "./codec/codec.ts";
export type { Extensions } from "./codec/extension.ts";
export { type ComposeFiles, memoryFiles } from "./files.ts";
export { variablesBeside } from "./load/env-files.ts";
export { fileVariables } from "./load/file-variables.ts";
export {
  declaredParameters,
  type LoadOptions,
  type LoadResult,
  loadCompose,
} from "./load/load.ts";
export type { DeclaredParameters } from "./load/parameters.ts";
export type { SourceMap, SourcePlace } from "./load/source-map.ts";
export * from "./model/berth-model.ts";
export * from "./model/deploy-model.ts";
export * from "./model/network-model.ts";
export * from "./model/project-model.ts";
export * from "./model/service-model.ts";
export * from "./model/storage-model.ts";
export { nodeFiles } from "./node-files.ts";
export { expectedInstead, isSecret } from "./parameters/check-value.ts";
export { hashedText, printCanonical, printMerged } from "./print/print.ts";
export { withoutUnused } from "./print/used.ts";
export { type ComposeProblem, formatProblem } from "./problem.ts";
export { stackSchema } from "./reference.ts";
export { type ExposedPort, exposedPorts } from "./spec/port-codecs.ts";
export { SUPPORT, type SupportEntry, type SupportLevel } from "./support.ts";
