export { NetClient, type NetClientOptions, netSocketPath } from "./client.ts";
export type { StopOptions } from "./control-socket.ts";
export * from "./model.ts";
export { parseModel } from "./model-parse.ts";
export { type NetOptions, type NetProcess, runNet } from "./process.ts";
export * from "./report.ts";
export { type ResolvConfInput, resolvConf } from "./resolv-conf.ts";
export type { ServiceName } from "./service-name.ts";
