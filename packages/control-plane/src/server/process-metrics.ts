/** Figures of the process itself: memory, processor, delay of the event loop. */

import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Metrics } from "../api/metrics.ts";

/** The sampling itself costs a timer: 20 ms is fine enough for a goal of 50 ms. */
const RESOLUTION_MS = 20;

/** Adds the figures; returns what ends the sampling. */
export function addProcessMetrics(metrics: Metrics, version: string): () => void {
  const delay = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  delay.enable();
  metrics.gauge("berth_info", "Version of this server.", () => [{ labels: { version }, value: 1 }]);
  metrics.gauge("process_resident_memory_bytes", "Resident memory.", () => [
    { value: process.memoryUsage.rss() },
  ]);
  metrics.counted("process_cpu_seconds_total", "Processor time of all threads.", () => {
    const { user, system } = process.cpuUsage();
    return [{ value: (user + system) / 1e6 }];
  });
  metrics.gauge("process_uptime_seconds", "Time since the start.", () => [
    { value: process.uptime() },
  ]);
  metrics.gauge(
    "berth_event_loop_delay_seconds",
    "Delay of the event loop since the last look, by quantile.",
    () => {
      const samples = [0.5, 0.99, 1].map((quantile) => ({
        labels: { quantile: String(quantile) },
        // The histogram counts the sampling interval itself; before its first sample it is empty.
        value: delay.count === 0 ? 0 : secondsLate(delay.percentile(quantile * 100)),
      }));
      delay.reset();
      return samples;
    },
  );
  return () => delay.disable();
}

function secondsLate(nanoseconds: number): number {
  return Math.max(0, nanoseconds / 1e9 - RESOLUTION_MS / 1_000);
}
