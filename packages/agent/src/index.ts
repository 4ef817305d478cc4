export { startAgent } from "./agent.ts";
export {
  type AgentOptions,
  type AgentSettings,
  type Machine,
  SETTINGS_DEFAULT,
} from "./agent-options.ts";
export type { Agent, AgentStatus } from "./agent-status.ts";
export { DEVICES_FILE } from "./devices/host-devices.ts";
export { type HostFacts, linuxFacts } from "./host-facts.ts";
export type { NetPort } from "./net/net-port.ts";
export type { Checker, CheckRequest } from "./probes/checker.ts";
export { DockerRuntime, dockerRuntime } from "./runtime/docker.ts";
export type { Runtime } from "./runtime/port.ts";
export type { LocalDb } from "./state/local-db.ts";
export { MemoryDb } from "./state/memory-db.ts";
export { OPERATIONS, type Operation } from "./task/operation.ts";
export { STEP_TABLE, step } from "./task/step.ts";
