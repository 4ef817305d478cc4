export { NetClient, type NetClientOptions, netSocketPath } from "./client.ts";
export * from "./model.ts";
export * from "./report.ts";
export { type ResolvConfInput, resolvConf } from "./resolv-conf.ts";
