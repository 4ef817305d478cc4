/** The `net` process: names, requests and isolation of this node. Supervised by the agent. */

import { constants, setPriority } from "node:os";
import { join } from "node:path";
import { memoryFolder } from "@berth/agent/files/memory-mount";
import { runNet } from "@berth/network";
import { BUNDLED } from "../platform/version.ts";
import { runProcessShell } from "./process-shell.ts";

/**
 * Names and requests of every container wait for this process and its HAProxy (which inherits it): they come
 * before what containers do among themselves. A sixth of a processor at the design's 20,000 names a second.
 */
const PRIORITY = constants.priority.PRIORITY_ABOVE_NORMAL;

await runProcessShell("net", async ({ paths, clock, log, driver }) => {
  try {
    setPriority(PRIORITY);
  } catch (error) {
    log.info("runs at the ordinary priority: a higher one is not permitted", { error });
  }
  // Keys of certificates and hashes of passwords are here; the agent tells people when it is a disk.
  const { path: memoryDir } = await memoryFolder(join(paths.run, "net"));
  const net = await runNet({
    dataDir: paths.net,
    memoryDir,
    clock,
    log,
    driver,
    ...(BUNDLED ? { dnsWorkerUrl: new URL("./dns-worker.mjs", import.meta.url) } : {}),
  });
  void net.stopped.then(() => process.exit(0));
  return () => net.stop({ ingress: false });
});
