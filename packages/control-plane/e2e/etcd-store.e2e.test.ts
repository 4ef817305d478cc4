/**
 * The store's contract on real etcd. One member for all tests: each store has a prefix of its own, and the
 * tests come one after the other, so that no other's writes lie between a test's revisions.
 */

import { after, before, type TestContext } from "node:test";
import { silentLogger, sleep, systemClock } from "@berth/base";
import { storeContract } from "../src/store/contract.ts";
import { faultContract } from "../src/store/contract-faults.ts";
import type { StoreSubject } from "../src/store/contract-subject.ts";
import { openEtcdStore } from "../src/store/etcd.ts";
import { type EtcdLab, startEtcd } from "./etcd-lab.ts";

let lab: EtcdLab;
let count = 0;
before(async () => {
  lab = await startEtcd();
});
after(() => lab.stop());

/** The shortest that etcd grants, and one second for its own rounding. */
const LEASE_TTL_MS = 3_000;

async function etcdSubject(context: TestContext): Promise<StoreSubject> {
  const prefix = `/test/${count++}/`;
  const { endpoints } = lab;
  const open = () => openEtcdStore({ endpoints, prefix, clock: systemClock, log: silentLogger });
  let store = await open();
  context.after(() => store.close());
  return {
    store,
    sharesRevisions: true,
    leaseTtlMs: LEASE_TTL_MS,
    advance: (ms) => sleep(systemClock, ms),
    reopen: async () => {
      await store.close();
      store = await open();
      return store;
    },
  };
}

storeContract("etcd", etcdSubject);
faultContract("etcd", etcdSubject, [1, 2, 3]);
