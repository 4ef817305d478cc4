/**
 * Figures of routes over the lives of HAProxy's workers, whose counters each begin at 0.
 *
 * What is known of a worker that has ended is added to the past; a reload therefore loses what an old worker
 * counted after it was last asked. They begin anew with `net`, as counters may. O(routes) each time.
 */

import type { RouteFigures } from "../report.ts";
import { routeIdOf } from "./plan.ts";
import type { BackendFigures } from "./stat.ts";

export class FiguresOfRoutes {
  readonly #past = new Map<string, BackendFigures>();
  #workers: ReadonlyMap<number, ReadonlyMap<string, BackendFigures>> = new Map();

  /** Takes what all living workers say, by process id; the current one is the last. */
  observe(workers: ReadonlyMap<number, ReadonlyMap<string, BackendFigures>>): void {
    for (const [pid, backends] of this.#workers) {
      if (workers.has(pid)) continue;
      for (const [name, figures] of backends) {
        const past = this.#past.get(name);
        const ended = { ...figures, sessions: 0 };
        this.#past.set(name, past === undefined ? ended : sum(past, ended));
      }
    }
    this.#workers = workers;
  }

  /** By route, those that some worker serves now. */
  all(): RouteFigures[] {
    const totals = new Map<string, BackendFigures>();
    for (const backends of this.#workers.values()) {
      for (const [name, figures] of backends) {
        const known = totals.get(name) ?? this.#past.get(name);
        totals.set(name, known === undefined ? figures : sum(known, figures));
      }
    }
    return [...totals].flatMap(([name, figures]) => {
      const routeId = routeIdOf(name);
      return routeId === undefined ? [] : [{ routeId, ...figures }];
    });
  }
}

/** Counters add up; means and sessions are the later one's, or the sum. */
function sum(a: BackendFigures, b: BackendFigures): BackendFigures {
  const [s1, s2, s3, s4, s5] = a.statuses;
  const [t1, t2, t3, t4, t5] = b.statuses;
  return {
    requests: a.requests + b.requests,
    statuses: [s1 + t1, s2 + t2, s3 + t3, s4 + t4, s5 + t5],
    bytesIn: a.bytesIn + b.bytesIn,
    bytesOut: a.bytesOut + b.bytesOut,
    sessions: a.sessions + b.sessions,
    answerMsMean: b.requests > 0 ? b.answerMsMean : a.answerMsMean,
    totalMsMean: b.requests > 0 ? b.totalMsMean : a.totalMsMean,
  };
}
