/** What the listings of the command line say as JSON, as far as end-to-end tests read it. */

export interface StackRow {
  readonly stack: {
    readonly stack: string;
    readonly release: number;
    readonly goodRelease?: number;
    readonly rollout?: { readonly state: string; readonly release: number };
  };
  readonly services: readonly ServiceRow[];
}

export interface ServiceRow {
  readonly service: string;
  readonly release: number;
  readonly wanted: number;
  readonly ready: number;
  readonly reachable: readonly string[];
  readonly state: string;
}

export interface TaskRow {
  readonly task: {
    readonly id: string;
    readonly service: string;
    readonly slot: number;
    readonly release: number;
    readonly desired: "running" | "stopped";
    readonly attachments: readonly { readonly address: string }[];
    readonly requests: { readonly cpuMillis: number; readonly memoryBytes: number };
  };
  readonly status?: {
    readonly state: string;
    readonly attempt: number;
    readonly ready: boolean;
    readonly readyAt?: number;
    readonly containerId?: string;
    readonly exitCode?: number;
    readonly outcome?: string;
    readonly message?: string;
    readonly startedAt?: number;
  };
}

/** What `berth deploy --json` ends with. */
export interface DeployRow {
  readonly outcome: {
    readonly kind: string;
    readonly release?: number;
    readonly error?: { readonly code: string; readonly message: string };
    readonly rollout?: {
      readonly state: string;
      readonly failure?: {
        readonly service: string;
        readonly reason: string;
        readonly exitCode?: number;
        readonly logTail: readonly string[];
      };
    };
  };
  readonly tookMs: number;
}
