/**
 * Figures in Prometheus' text format: counters, gauges read when asked, histograms with fixed bounds.
 *
 * Label values come from closed sets (routes, states, codes), never from users, so the number of series is
 * bounded by construction. Cost: counting O(1), rendering O(series).
 */

export type Labels = Readonly<Record<string, string>>;

/** One line: labels and a value. */
export interface Sample {
  readonly labels?: Labels;
  readonly value: number;
}

interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly render: () => Iterable<string>;
}

export class Metrics {
  readonly #families: Family[] = [];

  /** A value that is read when somebody asks. Names end in a unit: `_seconds`, `_bytes`, `_total`. */
  gauge(name: string, help: string, read: () => Iterable<Sample>): void {
    this.#families.push({ name, help, type: "gauge", render: () => samples(name, read()) });
  }

  /** As a gauge, for figures that only grow and are counted elsewhere. */
  counted(name: string, help: string, read: () => Iterable<Sample>): void {
    this.#families.push({ name, help, type: "counter", render: () => samples(name, read()) });
  }

  counter(name: string, help: string): Counter {
    const counter = new Counter();
    this.counted(name, help, () => counter.samples());
    return counter;
  }

  histogram(name: string, help: string, bounds: readonly number[]): Histogram {
    const histogram = new Histogram(bounds);
    const render = () => histogram.lines(name);
    this.#families.push({ name, help, type: "histogram", render });
    return histogram;
  }

  render(): string {
    const lines: string[] = [];
    for (const { name, help, type, render } of this.#families) {
      lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`, ...render());
    }
    return `${lines.join("\n")}\n`;
  }
}

export class Counter {
  readonly #values = new Map<string, { readonly labels: Labels; value: number }>();

  add(labels: Labels, by = 1): void {
    const name = labelText(labels);
    const known = this.#values.get(name);
    if (known === undefined) this.#values.set(name, { labels, value: by });
    else known.value += by;
  }

  samples(): Iterable<Sample> {
    return this.#values.values();
  }
}

export class Histogram {
  readonly #bounds: readonly number[];
  readonly #series = new Map<
    string,
    { counts: number[]; sum: number; count: number; labels: Labels }
  >();

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
  }

  observe(labels: Labels, value: number): void {
    const name = labelText(labels);
    let series = this.#series.get(name);
    if (series === undefined) {
      series = { counts: this.#bounds.map(() => 0), sum: 0, count: 0, labels };
      this.#series.set(name, series);
    }
    series.sum += value;
    series.count++;
    const index = this.#bounds.findIndex((bound) => value <= bound);
    const count = series.counts[index];
    if (count !== undefined) series.counts[index] = count + 1;
  }

  *lines(name: string): Iterable<string> {
    for (const { counts, sum, count, labels } of this.#series.values()) {
      let below = 0;
      for (const [index, bound] of this.#bounds.entries()) {
        below += counts[index] ?? 0;
        yield `${name}_bucket${labelText({ ...labels, le: String(bound) })} ${below}`;
      }
      yield `${name}_bucket${labelText({ ...labels, le: "+Inf" })} ${count}`;
      yield `${name}_sum${labelText(labels)} ${sum}`;
      yield `${name}_count${labelText(labels)} ${count}`;
    }
  }
}

function* samples(name: string, all: Iterable<Sample>): Iterable<string> {
  for (const { labels, value } of all) yield `${name}${labelText(labels ?? {})} ${value}`;
}

/** Labels that are noted again and again are mostly the same object. */
const texts = new WeakMap<Labels, string>();

function labelText(labels: Labels): string {
  const known = texts.get(labels);
  if (known !== undefined) return known;
  const made = makeLabelText(labels);
  texts.set(labels, made);
  return made;
}

function makeLabelText(labels: Labels): string {
  const entries = Object.entries(labels);
  if (entries.length === 0) return "";
  return `{${entries.map(([name, value]) => `${name}="${escaped(value)}"`).join(",")}}`;
}

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}
