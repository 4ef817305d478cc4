/**
 * What of a machine is never given to tasks: the system, the engine and the platform must go on working when
 * every task uses all that it asked for. Pure.
 */

export interface MachineCapacity {
  readonly cpuMillis: number;
  readonly memoryBytes: number;
  readonly diskBytes: number;
}

/** A fixed part, a share of the rest, and never more than a part of a small machine. */
interface ReserveRule {
  readonly fixed: number;
  readonly share: number;
  readonly shareMax: number;
}

const MIB = 1024 * 1024;
const GIB = 1024 * MIB;

/** Kernel work, engine and agent while containers start; a big machine starts more of them. */
const CPU_RULE: ReserveRule = { fixed: 100, share: 0.02, shareMax: 0.1 };
/** Engine 110 MB, agent and net 160, server 140, system some 100; a shim and page tables by the size. */
const MEMORY_RULE: ReserveRule = { fixed: 512 * MIB, share: 0.03, shareMax: 0.25 };
/** Logs (4 GiB at most), the store, and room for one image more than what is counted. */
const DISK_RULE: ReserveRule = { fixed: 6 * GIB, share: 0.05, shareMax: 0.2 };

/** What to keep back. Each part is at most the named share of the machine. */
export function reserveOf(capacity: MachineCapacity): MachineCapacity {
  return {
    cpuMillis: apply(CPU_RULE, capacity.cpuMillis),
    memoryBytes: apply(MEMORY_RULE, capacity.memoryBytes),
    diskBytes: apply(DISK_RULE, capacity.diskBytes),
  };
}

function apply({ fixed, share, shareMax }: ReserveRule, whole: number): number {
  return Math.ceil(Math.min(fixed + whole * share, whole * shareMax));
}
