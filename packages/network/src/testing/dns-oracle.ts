/**
 * Names by the slow obvious way: every question reads the whole model anew, in the words of
 * docs/design/dns.md. What the prepared tables are held against. Networks are /24.
 */

import type { NodeNetworkModel, ServiceModel } from "../model.ts";

/** What somebody may see. */
export interface View {
  readonly stack: string;
  readonly networkIds: readonly string[];
}

/** `undefined`: refused. */
export function oracleView(
  model: NodeNetworkModel,
  networkId: string,
  from: string,
): View | undefined {
  const asked = model.networks.find((item) => item.id === networkId);
  if (asked === undefined || !from.startsWith(asked.gateway.replace(/\d+$/, ""))) return undefined;
  const own = model.attachments.find((item) => item.address === from);
  if (own === undefined) {
    const network = model.networks.find((item) => item.id === networkId);
    return { stack: network?.stack ?? "", networkIds: [networkId] };
  }
  const all = model.attachments.filter((item) => item.taskId === own.taskId);
  const others = all.map((item) => item.networkId).filter((id) => id !== networkId);
  return { stack: own.stack, networkIds: [networkId, ...others] };
}

/** IPv4 addresses of a name; `undefined`: there is no such name. Straight from the words of docs/design/dns.md. */
export function oracleAddresses(
  model: NodeNetworkModel,
  view: View,
  name: string,
): readonly string[] | undefined {
  const full = /^(.+)\.([^.]+)\.main\.default\.berth$/.exec(name);
  const label = full?.[1] ?? name;
  const stack = full?.[2];
  const services = (wanted: string) => firstOwn(view, (id) => declared(model, id, wanted, stack));
  const hosts = (wanted: string) => firstOwn(view, (id) => hostHits(model, id, wanted, stack));
  const rest = label.replace(/^tasks\./, "");
  const [, base = "", slot] = /^(.+)-(\d+)$/.exec(label) ?? [];
  const steps: (() => readonly string[] | undefined)[] = [
    () => services(label)?.flatMap(([service, id]) => serviceAddresses(model, service, id)),
    () => hosts(label)?.map(([, , address]) => address),
    () =>
      rest === label ? undefined : services(rest)?.flatMap((hit) => copyAddresses(model, hit)),
    () => (rest === label ? undefined : hosts(rest)?.map(([, , address]) => address)),
    () => {
      const owners = services(base) ?? hosts(base) ?? [];
      const found = owners.flatMap((hit) => copyAddresses(model, hit, Number(slot)));
      const exists = owners.some((hit) => isAttached(model, hit, Number(slot)));
      return found.length > 0 || exists ? found : undefined;
    },
  ];
  for (const step of steps) {
    const found = step();
    if (found !== undefined) return [...new Set(found)];
  }
  return undefined;
}

type Hit = readonly [ServiceModel, string, ...string[]];

/** Hits on the first network that has one of the own stack, else on the first that has any. */
function firstOwn<T extends Hit>(
  view: View,
  hitsOn: (id: string) => readonly T[],
): readonly T[] | undefined {
  const all = view.networkIds.map(hitsOn).filter((hits) => hits.length > 0);
  const own = all.map((hits) => hits.filter(([service]) => service.stack === view.stack));
  return own.find((hits) => hits.length > 0) ?? all[0];
}

function declared(
  model: NodeNetworkModel,
  id: string,
  label: string,
  stack: string | undefined,
): Hit[] {
  return model.services
    .filter((service) => stack === undefined || service.stack === stack)
    .filter((service) =>
      service.networks.some(
        (entry) =>
          entry.networkId === id && (service.service === label || entry.aliases.includes(label)),
      ),
    )
    .map((service) => [service, id]);
}

function hostHits(model: NodeNetworkModel, id: string, label: string, stack: string | undefined) {
  return model.services
    .filter((service) => stack === undefined || service.stack === stack)
    .flatMap((service) =>
      copies(model, service, id)
        .filter((copy) => copy.hostname === label)
        .map((copy) => [service, id, copy.address] as const),
    );
}

function copies(model: NodeNetworkModel, service: ServiceModel, id: string) {
  return model.endpoints.filter(
    (item) =>
      item.state === "ready" &&
      item.networkId === id &&
      item.service === service.service &&
      item.stack === service.stack,
  );
}

function isAttached(model: NodeNetworkModel, [service, id]: Hit, slot: number): boolean {
  return model.attachments.some(
    (item) =>
      item.networkId === id &&
      item.slot === slot &&
      item.service === service.service &&
      item.stack === service.stack,
  );
}

function serviceAddresses(model: NodeNetworkModel, service: ServiceModel, id: string): string[] {
  const isVirtual = service.endpointMode === "vip";
  const membership = service.networks.find((entry) => entry.networkId === id);
  const vip = isVirtual ? membership?.virtualAddress : undefined;
  return vip === undefined ? copies(model, service, id).map((copy) => copy.address) : [vip];
}

function copyAddresses(model: NodeNetworkModel, [service, id]: Hit, slot?: number): string[] {
  return copies(model, service, id)
    .filter((copy) => slot === undefined || copy.slot === slot)
    .map((copy) => copy.address);
}
