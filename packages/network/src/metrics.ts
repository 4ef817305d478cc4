/** `net`'s figures as Prometheus text. Pure. */

import type { DnsFigures } from "./dns/server.ts";
import type { ApplyReport, RouteFigures } from "./report.ts";

export interface NetFigures {
  readonly report: ApplyReport;
  readonly dns: DnsFigures;
  readonly ingress: {
    readonly running: boolean;
    readonly starts: number;
    readonly reloads: number;
    readonly oldWorkers: number;
    readonly tableChanges: number;
  };
  readonly routes: readonly RouteFigures[];
  readonly firewall: {
    readonly loads: number;
    readonly repairs: number;
    readonly guarded: boolean;
  };
  readonly addresses: {
    readonly services: number;
    readonly loads: number;
    readonly changes: number;
    readonly lastChangeMs: number;
    readonly flowsFlushed: number;
  };
  readonly overlay: {
    /** Networks that reach other nodes, and addresses on those. */
    readonly networks: number;
    readonly addresses: number;
    readonly changes: number;
    /** Changes that a look found necessary: somebody else had changed something. */
    readonly repairs: number;
  };
  readonly endpoints: number;
  readonly servicesWithEndpoints: number;
  readonly residentBytes: number;
}

type Kind = "gauge" | "counter";

type Metric = (name: string, kind: Kind, help: string, samples: Record<string, number>) => void;

export function metricsText(figures: NetFigures): string {
  const { report, dns, ingress, firewall } = figures;
  const lines: string[] = [];
  const metric: Metric = (name, kind, help, samples) => {
    lines.push(`# HELP berth_net_${name} ${help}`, `# TYPE berth_net_${name} ${kind}`);
    for (const [labels, value] of Object.entries(samples)) {
      lines.push(`berth_net_${name}${labels} ${value}`);
    }
  };
  metric("applied_generation", "gauge", "Generation of the model that a part follows.", {
    '{part="dns"}': report.dns.generation,
    '{part="ingress"}': report.ingress.generation,
    '{part="firewall"}': report.firewall.generation,
    '{part="addresses"}': report.addresses?.generation ?? 0,
    '{part="overlay"}': report.overlay?.generation ?? 0,
  });
  metric("problems", "gauge", "Problems that a part reports.", {
    '{part="dns"}': report.dns.problems.length,
    '{part="ingress"}': report.ingress.problems.length,
    '{part="firewall"}': report.firewall.problems.length,
    '{part="addresses"}': report.addresses?.problems.length ?? 0,
    '{part="overlay"}': report.overlay?.problems.length ?? 0,
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
  metric("ingress_table_changes_total", "counter", "Tables exchanged without a reload.", {
    "": ingress.tableChanges,
  });
  routeMetrics(figures.routes, metric);
  metric("firewall_loads_total", "counter", "Loads of the table.", { "": firewall.loads });
  metric("firewall_guarded", "gauge", "A table that nobody else can flush repeats the drops.", {
    "": firewall.guarded ? 1 : 0,
  });
  metric("firewall_repairs_total", "counter", "Loads because somebody had changed it.", {
    "": firewall.repairs,
  });
  addressMetrics(figures.addresses, metric);
  overlayMetrics(figures.overlay, metric);
  metric("resident_bytes", "gauge", "Resident memory of this process.", {
    "": figures.residentBytes,
  });
  return `${lines.join("\n")}\n`;
}

/** Names of routes have no quotes or backslashes. */
function routeMetrics(routes: readonly RouteFigures[], metric: Metric): void {
  const each = (value: (figures: RouteFigures) => number) =>
    Object.fromEntries(routes.map((route) => [`{route="${route.routeId}"}`, value(route)]));
  metric("route_requests_total", "counter", "Requests of a route, connections of a port.", {
    ...each(({ requests }) => requests),
  });
  const answers = routes.flatMap(({ routeId, statuses }) =>
    statuses.map((count, index) => [`{route="${routeId}",class="${index + 1}xx"}`, count] as const),
  );
  metric("route_answers_total", "counter", "Answers by class of status.", {
    ...Object.fromEntries(answers),
  });
  metric("route_bytes_total", "counter", "Bytes from and to clients.", {
    ...Object.fromEntries(
      routes.flatMap(({ routeId, bytesIn, bytesOut }) => [
        [`{route="${routeId}",direction="in"}`, bytesIn],
        [`{route="${routeId}",direction="out"}`, bytesOut],
      ]),
    ),
  });
  metric("route_sessions", "gauge", "Requests or connections now.", {
    ...each(({ sessions }) => sessions),
  });
  metric("route_answer_milliseconds", "gauge", "Until an answer began, mean of the last 1,024.", {
    ...each(({ answerMsMean }) => answerMsMean),
  });
  metric("route_total_milliseconds", "gauge", "Until an answer ended, mean of the last 1,024.", {
    ...each(({ totalMsMean }) => totalMsMean),
  });
}

function overlayMetrics(overlay: NetFigures["overlay"], metric: Metric): void {
  metric("overlay_networks", "gauge", "Networks with a way to other nodes.", {
    "": overlay.networks,
  });
  metric("overlay_addresses", "gauge", "Addresses behind other nodes.", { "": overlay.addresses });
  metric("overlay_changes_total", "counter", "Models that changed a way to another node.", {
    "": overlay.changes,
  });
  metric("overlay_repairs_total", "counter", "Repairs because somebody had changed it.", {
    "": overlay.repairs,
  });
}

function addressMetrics(addresses: NetFigures["addresses"], metric: Metric): void {
  metric("service_addresses", "gauge", "Service addresses that lead to copies, by network.", {
    "": addresses.services,
  });
  metric("service_address_loads_total", "counter", "Loads of their whole table.", {
    "": addresses.loads,
  });
  metric("service_address_changes_total", "counter", "Models that changed part of it.", {
    "": addresses.changes,
  });
  metric("service_address_change_seconds", "gauge", "Duration of the last change.", {
    "": addresses.lastChangeMs / 1_000,
  });
  metric("flows_flushed_total", "counter", "Copies gone whose flows were ended.", {
    "": addresses.flowsFlushed,
  });
}
