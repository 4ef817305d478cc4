/** Figures as Prometheus reads them. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Metrics } from "./metrics.ts";

test("families have help, type and lines; labels are escaped; buckets add up", () => {
  const metrics = new Metrics();
  const requests = metrics.counter("requests_total", "Requests.");
  requests.add({ route: "a", status: "200" });
  requests.add({ route: "a", status: "200" }, 2);
  requests.add({ route: 'q"\\\n', status: "500" });
  metrics.gauge("open", "Open.", () => [{ value: 3 }]);
  const latency = metrics.histogram("latency_seconds", "Latency.", [0.1, 1]);
  for (const value of [0.05, 0.1, 0.5, 7]) latency.observe({ route: "a" }, value);
  assert.equal(
    metrics.render(),
    `# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{route="a",status="200"} 3
requests_total{route="q\\"\\\\\\n",status="500"} 1
# HELP open Open.
# TYPE open gauge
open 3
# HELP latency_seconds Latency.
# TYPE latency_seconds histogram
latency_seconds_bucket{route="a",le="0.1"} 2
latency_seconds_bucket{route="a",le="1"} 3
latency_seconds_bucket{route="a",le="+Inf"} 4
latency_seconds_sum{route="a"} 7.65
latency_seconds_count{route="a"} 4
`,
  );
});
