/** What the kernel's tables say about the host. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRoutes } from "./host-facts.ts";

const ROUTES = `Iface	Destination	Gateway 	Flags	RefCnt	Use	Metric	Mask		MTU	Window	IRTT
eth0	00000000	FE01A8C0	0003	0	0	0	00000000	0	0	0
eth0	0001A8C0	00000000	0001	0	0	0	00FFFFFF	0	0	0
docker0	000011AC	00000000	0001	0	0	0	0000FFFF	0	0	0
tun0	0000000A	0101000A	0003	0	0	0	000000FF	0	0	0
eth0	0101000A	00000000	0005	0	0	0	FFFFFFFF	0	0	0
`;

test("routes are ranges with their interfaces; the way to everywhere is none", () => {
  assert.deepEqual(parseRoutes(ROUTES), [
    { range: "192.168.1.0/24", interface: "eth0" },
    { range: "172.17.0.0/16", interface: "docker0" },
    { range: "10.0.0.0/8", interface: "tun0" },
    { range: "10.0.1.1/32", interface: "eth0" },
  ]);
});

test("an empty or unknown table says nothing", () => {
  assert.deepEqual(parseRoutes(""), []);
  assert.deepEqual(parseRoutes("Iface\nx y z\n"), []);
});
