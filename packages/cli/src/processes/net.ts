/** The `net` process: names, requests and isolation of this node. Supervised by the agent. */

import { join } from "node:path";
import { memoryFolder } from "@berth/agent/files/memory-mount";
import { runNet } from "@berth/network";
import { runProcessShell } from "./process-shell.ts";

await runProcessShell("net", async ({ paths, clock, log, driver }) => {
  // Keys of certificates and hashes of passwords are here; the agent tells people when it is a disk.
  const { path: memoryDir } = await memoryFolder(join(paths.run, "net"));
  const net = await runNet({ dataDir: paths.net, memoryDir, clock, log, driver });
  void net.stopped.then(() => process.exit(0));
  return () => net.stop({ ingress: false });
});
