/** The `net` process: names, requests and isolation of this node. Supervised by the agent. */

import { runNet } from "@berth/network";
import { runProcessShell } from "./process-shell.ts";

await runProcessShell("net", async ({ paths, clock, log, driver }) => {
  const net = await runNet({ dataDir: paths.net, clock, log, driver });
  void net.stopped.then(() => process.exit(0));
  return () => net.stop({ ingress: false });
});
