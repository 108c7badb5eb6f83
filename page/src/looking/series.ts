/** Metrics as series for charts: what is measured alike is drawn together. */

/** Values that are not finite are null. */
export type MetricPoints = [step: number, value: number | null, time: number][];
export type NodeMetrics = Record<string, MetricPoints>;

export interface Series {
  label: string;
  points: MetricPoints;
  /** Which of the runs or nodes that are drawn together. */
  source: number;
}

export interface Chart {
  title: string;
  series: Series[];
}

export interface Single {
  name: string;
  /** By source; null where one has no such metric. */
  values: (number | null)[];
}

const SPLITS = /^(train|training|valid|validation|val|test)[_./ -]+/i;

/** Charts of metrics with several steps, and the values of those with one. */
export function chartsOf(sources: readonly { label: string; metrics: NodeMetrics }[]): {
  charts: Chart[];
  singles: Single[];
} {
  const charts = new Map<string, Chart>();
  const singles = new Map<string, Single>();
  const names = [...new Set(sources.flatMap(({ metrics }) => Object.keys(metrics)))];
  for (const name of names) {
    const all = sources.map(({ metrics }) => metrics[name] ?? []);
    if (all.every((points) => new Set(points.map(([step]) => step)).size < 2)) {
      singles.set(name, { name, values: all.map((points) => points.at(-1)?.[1] ?? null) });
      continue;
    }
    const title = shownName(name.replace(SPLITS, "") || name);
    const chart = charts.get(title) ?? { title, series: [] };
    all.forEach((points, source) => {
      const split = SPLITS.exec(name)?.[1] ?? (sources.length > 1 ? "" : title);
      const label = [sources.length > 1 ? sources[source]!.label : "", shownName(split)].filter(Boolean).join(" ");
      if (points.length > 0) chart.series.push({ label, points, source });
    });
    charts.set(title, chart);
  }
  return { charts: [...charts.values()], singles: [...singles.values()] };
}

/** Columns for uPlot: the steps of all series, and the value of each at each step, or null. */
export function columnsOf(series: readonly Series[]): [number[], ...(number | null)[][]] {
  const steps = [...new Set(series.flatMap(({ points }) => points.map(([step]) => step)))].sort((a, b) => a - b);
  const place = new Map(steps.map((step, index) => [step, index]));
  const columns = series.map(({ points }) => {
    const column: (number | null)[] = steps.map(() => null);
    for (const [step, value] of points) column[place.get(step)!] = value;
    return column;
  });
  return [steps, ...columns];
}

export function shownName(name: string): string {
  return name.replaceAll("_", " ").trim();
}
