/**
 * What every runtime must do, as one suite: run against the fake on a virtual clock and against a real
 * engine. A behaviour that callers rely on is a test here first.
 *
 * The containers run busybox; the fake reads the same commands (`fake-program.ts`).
 */

import { after, before, describe } from "node:test";
import { commandTests, endTests, lifeTests, outputTests } from "./contract-containers.ts";
import { type RuntimeHarness, requestOf, type Subject } from "./contract-subject.ts";
import {
  archiveTests,
  eventTests,
  figureTests,
  imageTests,
  networkTests,
  volumeTests,
} from "./contract-surroundings.ts";

/** Registers the suite with the test runner. */
export function runtimeContract(name: string, open: () => Promise<RuntimeHarness>): void {
  describe(`runtime contract: ${name}`, () => {
    let harness: RuntimeHarness;
    let count = 0;
    before(async () => {
      harness = await open();
    });
    after(() => harness.close());
    const subject: Subject = {
      get harness() {
        return harness;
      },
      get runtime() {
        return harness.runtime;
      },
      request(changes = {}) {
        count++;
        return requestOf(harness, `${harness.cluster}-${count}`, changes);
      },
      async run(changes = {}) {
        const created = await harness.runtime.createContainer(this.request(changes));
        await harness.runtime.startContainer(created.id);
        return created;
      },
    };
    lifeTests(subject);
    endTests(subject);
    outputTests(subject);
    commandTests(subject);
    networkTests(subject);
    volumeTests(subject);
    imageTests(subject);
    archiveTests(subject);
    eventTests(subject);
    figureTests(subject);
  });
}
