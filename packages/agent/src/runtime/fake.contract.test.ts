import { ManualClock, Prng } from "@berth/base";
import { runtimeContract } from "./contract.ts";
import { FakeRuntime } from "./fake.ts";
import { FakeHost } from "./fake-host.ts";
import { shellCommand, shellProgram } from "./fake-program.ts";
import { fakeImage } from "./fake-registry.ts";

/** Time passes while the test waits for something: one timer a turn of the event loop. */
function flow(clock: ManualClock): () => void {
  let open = true;
  const turn = () => {
    if (!open) return;
    clock.fireNext();
    setImmediate(turn);
  };
  setImmediate(turn);
  return () => {
    open = false;
  };
}

runtimeContract("fake", async () => {
  const clock = new ManualClock();
  const host = new FakeHost({
    clock,
    prng: new Prng(1),
    programOf: shellProgram,
    commandOf: (_container, command, environment) => shellCommand(command, environment),
  });
  const image = fakeImage({ reference: "berth.test/busybox:1" });
  host.images.set(image.imageId, image);
  const stop = flow(clock);
  return {
    runtime: new FakeRuntime(host),
    cluster: "fake-cluster",
    image: { reference: image.reference, imageId: image.imageId },
    network: {
      id: "0a0b0c0d",
      cluster: "fake-cluster",
      bridge: "bf0a0b0c0d",
      subnet: "10.250.0.0/24",
      gateway: "10.250.0.1",
      internal: false,
    },
    close: async () => stop(),
  };
});
