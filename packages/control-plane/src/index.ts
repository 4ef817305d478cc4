/** The control plane: what the composition root, the simulation and tests put together. */

export { hashToken } from "./api/authenticator.ts";
export { type Api, type ApiOptions, createApi } from "./api/create-api.ts";
export { framePair } from "./api/frame-pair.ts";
export type { Controls } from "./api/handler.ts";
export {
  InProcessClient,
  type InProcessClientOptions,
  type NetworkHook,
} from "./api/in-process-client.ts";
export { SECRET_KEY_BYTES, SecretBox } from "./api/secret-box.ts";
export { ControlPlane, type ControlPlaneOptions } from "./control-plane.ts";
export { type DataPaths, dataPaths } from "./server/data-dir.ts";
export { type RunningServer, type RunServerOptions, runServer } from "./server/run-server.ts";
export { type ControlPlaneSettings, DEFAULT_SETTINGS, type Policy } from "./settings.ts";
