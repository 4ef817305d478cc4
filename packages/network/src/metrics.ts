/** `net`'s figures as Prometheus text. Pure. */

import type { DnsFigures } from "./dns/server.ts";
import type { ApplyReport } from "./report.ts";

export interface NetFigures {
  readonly report: ApplyReport;
  readonly dns: DnsFigures;
  readonly ingress: {
    readonly running: boolean;
    readonly starts: number;
    readonly reloads: number;
    readonly oldWorkers: number;
  };
  readonly firewall: { readonly loads: number; readonly repairs: number };
  readonly endpoints: number;
  readonly servicesWithEndpoints: number;
  readonly residentBytes: number;
}

type Kind = "gauge" | "counter";

export function metricsText(figures: NetFigures): string {
  const { report, dns, ingress, firewall } = figures;
  const lines: string[] = [];
  const metric = (name: string, kind: Kind, help: string, samples: Record<string, number>) => {
    lines.push(`# HELP berth_net_${name} ${help}`, `# TYPE berth_net_${name} ${kind}`);
    for (const [labels, value] of Object.entries(samples)) {
      lines.push(`berth_net_${name}${labels} ${value}`);
    }
  };
  metric("applied_generation", "gauge", "Generation of the model that a part follows.", {
    '{part="dns"}': report.dns.generation,
    '{part="ingress"}': report.ingress.generation,
    '{part="firewall"}': report.firewall.generation,
  });
  metric("problems", "gauge", "Problems that a part reports.", {
    '{part="dns"}': report.dns.problems.length,
    '{part="ingress"}': report.ingress.problems.length,
    '{part="firewall"}': report.firewall.problems.length,
  });
  metric("endpoints", "gauge", "Endpoints of the model.", { "": figures.endpoints });
  metric("services_with_endpoints", "gauge", "Services with an endpoint.", {
    "": figures.servicesWithEndpoints,
  });
  metric("dns_queries_total", "counter", "DNS messages received.", {
    '{transport="udp"}': dns.queriesUdp,
    '{transport="tcp"}': dns.queriesTcp,
  });
  metric("dns_dropped_total", "counter", "DNS messages that deserved no answer.", {
    "": dns.dropped,
  });
  metric("dns_forwards_total", "counter", "Questions for the host's resolvers, by outcome.", {
    '{outcome="asked"}': dns.forwarded,
    '{outcome="cached"}': dns.cached,
    '{outcome="failed"}': dns.failed,
    '{outcome="over_limit"}': dns.refusedByLimit,
  });
  metric("dns_cache_entries", "gauge", "Forwarded answers kept.", { "": dns.cacheCount });
  metric("dns_cache_bytes", "gauge", "Their size.", { "": dns.cacheBytes });
  metric("ingress_running", "gauge", "Whether HAProxy runs.", { "": ingress.running ? 1 : 0 });
  metric("ingress_starts_total", "counter", "Starts of HAProxy.", { "": ingress.starts });
  metric("ingress_reloads_total", "counter", "Reloads of HAProxy.", { "": ingress.reloads });
  metric("ingress_old_workers", "gauge", "Workers that a reload has left behind.", {
    "": ingress.oldWorkers,
  });
  metric("firewall_loads_total", "counter", "Loads of the table.", { "": firewall.loads });
  metric("firewall_repairs_total", "counter", "Loads because somebody had changed it.", {
    "": firewall.repairs,
  });
  metric("resident_bytes", "gauge", "Resident memory of this process.", {
    "": figures.residentBytes,
  });
  return `${lines.join("\n")}\n`;
}
