/**
 * Where does an ask do the least harm, if tasks of lower priority have to go for it?
 *
 * On the node with the greatest `mildness`, the lower place among equals. Cost: that of `mildest.ts`; O(nodes × tasks of a node × rules) for asks whose rules look
 * beyond the node.
 */

import { shapeOf } from "../ask-shape.ts";
import type { Subject } from "../filter.ts";
import { firstFinding, onlyNodes, prepareChecks, reachesOf } from "../pipeline.ts";
import { Recent } from "../recent.ts";
import { LASTING_FILTERS } from "../standing-filters.ts";
import { type Choice, Mildest } from "./mildest.ts";
import { type Displacement, mildness, victimsOn } from "./victims.ts";

/** Shapes and priorities of which something is remembered, 24 bytes a node each. */
const SHAPES_MAX = 32;

/** Where the least harm is done, for one cluster and its options. */
export class Displacing {
  readonly #mildest = new Recent<Mildest>(SHAPES_MAX);

  choose(subject: Subject, priority: number): Choice | undefined {
    if (!isOfNodeAlone(subject)) return chooseSlowly(subject, priority);
    const ask = shapeOf(subject.ask);
    const mildest = this.#mildest.of(`${priority}\n${JSON.stringify(ask)}`, () => {
      return new Mildest({ ...subject, ask }, priority);
    });
    return mildest.best();
  }
}

/** Do rules ask for nothing but the node, so that what they say is the same for all asks of the shape? */
function isOfNodeAlone(subject: Subject): boolean {
  const reaches = reachesOf(subject, () => []);
  return (
    reaches?.length === 0 &&
    onlyNodes(subject) === undefined &&
    subject.ask.maxPerNode === undefined
  );
}

/** A look at every node, with the tasks really taken out of the cluster. */
export function chooseSlowly(subject: Subject, priority: number): Choice | undefined {
  const { cluster } = subject;
  const wish: Displacement = {
    priority,
    allowed: (service) => cluster.displaceable(service),
    accepts: (node) => firstFinding(prepareChecks(subject), node) === undefined,
    takeOff: ({ claims }) => cluster.remove(claims.id),
    putBack: (task) => cluster.add(task),
    isOfNodeAlone: false,
  };
  const lasting = LASTING_FILTERS.flatMap((filter) => filter.prepare(subject));
  let best: Choice | undefined;
  let count = 0;
  for (const node of cluster.nodesByPlace) {
    if (lasting.some((check) => check(node) !== undefined)) continue;
    const mark = cluster.mark();
    const victims = victimsOn(node, wish);
    cluster.undoTo(mark);
    if (victims === undefined) continue;
    count++;
    if (best === undefined || mildness(victims) > mildness(best.victims)) {
      best = { node, victims, count };
    }
  }
  return best && { ...best, count };
}
