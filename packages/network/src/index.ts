export { NetClient, type NetClientOptions, netSocketPath } from "./client.ts";
export * from "./model.ts";
export { parseModel } from "./model-parse.ts";
export { type NetOptions, type NetProcess, runNet, type StopOptions } from "./process.ts";
export * from "./report.ts";
export { type ResolvConfInput, resolvConf } from "./resolv-conf.ts";
