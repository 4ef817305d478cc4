import { Prng } from "@berth/base";
import { runtimeContract } from "./contract.ts";
import { FakeRuntime } from "./fake.ts";
import { FakeHost } from "./fake-host.ts";
import { shellCommand, shellProgram } from "./fake-program.ts";
import { fakeImage } from "./fake-registry.ts";
import { flowingClock } from "./flowing-clock.ts";

runtimeContract("fake", async () => {
  const { clock, stop } = flowingClock();
  const host = new FakeHost({
    clock,
    prng: new Prng(1),
    programOf: shellProgram,
    commandOf: (_container, command, environment) => shellCommand(command, environment),
  });
  const image = fakeImage({ reference: "berth.test/busybox:1" });
  host.images.set(image.imageId, image);
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
