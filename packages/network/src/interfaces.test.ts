import assert from "node:assert/strict";
import { test } from "node:test";
import { hasInterface, interfaceIdentity, interfaceNames, madePortName } from "./interfaces.ts";

test("interfaces of this machine are listed, and those that are not there have no identity", () => {
  assert.ok(interfaceNames().has("lo"));
  for (const name of interfaceNames()) assert.ok(hasInterface(name), name);
  assert.ok(!hasInterface("no-such-link"));
  assert.match(interfaceIdentity(["lo"]) ?? "", /^lo \d+$/);
  assert.equal(interfaceIdentity(["lo", "no-such-link"]), undefined);
  assert.equal(interfaceIdentity([]), "");
});

test("a port's name fits the kernel and differs by bridge and address", () => {
  const names = [madePortName("a", "10.0.0.1"), madePortName("a", "10.0.0.2")];
  names.push(madePortName("b", "10.0.0.1"));
  assert.equal(new Set(names).size, 3);
  assert.ok(names.every((name) => name.length <= 15));
});
