/** Chart of metrics by step. Lines differ in color and in dashes, and each has its last value in words. */

import "uplot/dist/uPlot.min.css";

import { useEffect, useMemo, useRef } from "react";
import UPlot from "uplot";

import { numberText } from "../runs/wording";
import { type Chart, columnsOf, type MetricPoints } from "./series";

const HEIGHT = 165;
const TONES = ["--accent", "--warn", "--good", "--bad"];
const DASHES: (number[] | undefined)[] = [undefined, [7, 4], [2, 3], [10, 3, 2, 3]];

export function MetricChart({ chart }: { chart: Chart }) {
  const box = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | null>(null);
  const data = useMemo(() => columnsOf(chart.series), [chart]);
  const shape = chart.series.map(({ label, source }) => `${label}/${source}`).join("|");
  const latest = useRef(data);
  latest.current = data;

  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = new UPlot(options(element, chart), latest.current, element);
    };
    draw();
    const resize = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    resize.observe(element);
    const dark = window.matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", draw);
    const theme = new MutationObserver(draw);
    theme.observe(document.documentElement, { attributeFilter: ["data-theme"] });
    return () => {
      resize.disconnect();
      theme.disconnect();
      dark.removeEventListener("change", draw);
      plot.current?.destroy();
      plot.current = null;
    };
    // Lines that come or go make a new plot; new points go into the one that is there.
  }, [shape]);
  useEffect(() => plot.current?.setData(data), [data]);

  return (
    <figure className="look-chart">
      <figcaption>{chart.title}</figcaption>
      <ul className="look-legend">
        {chart.series.map(({ label, points }, index) => (
          <li key={index}>
            <svg viewBox="0 0 22 8" aria-hidden="true">
              <path
                d="M0 4h22"
                style={{ stroke: `var(${TONES[index % TONES.length]})` }}
                strokeDasharray={DASHES[index % DASHES.length]?.join(" ")}
              />
            </svg>
            {label !== chart.title && label} <b>{lastText(points)}</b>
          </li>
        ))}
      </ul>
      <div ref={box} role="img" aria-label={spoken(chart)} />
    </figure>
  );
}

function spoken(chart: Chart): string {
  const lines = chart.series.map(({ label, points }) => {
    const [first, last] = [points[0], points.at(-1)];
    if (first === undefined || last === undefined) return label;
    return `${label} from ${valueText(first[1])} at step ${first[0]} to ${valueText(last[1])} at step ${last[0]}`;
  });
  return `${chart.title}: ${lines.join("; ")}`;
}

function valueText(value: number | null): string {
  return value === null ? "not a finite number" : numberText(value);
}

function lastText(points: MetricPoints): string {
  const last = points.at(-1)?.[1];
  return last === null || last === undefined ? "–" : numberText(last);
}

function options(element: HTMLElement, chart: Chart): UPlot.Options {
  const style = getComputedStyle(element);
  const color = (name: string): string => {
    // Custom properties hold light-dark(): only a used value is a color that a canvas understands.
    const probe = document.createElement("span");
    probe.style.color = `var(${name})`;
    element.append(probe);
    const used = getComputedStyle(probe).color;
    probe.remove();
    return used;
  };
  const axis: UPlot.Axis = {
    stroke: color("--quiet"),
    font: `11px ${style.fontFamily}`,
    grid: { stroke: color("--line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { drag: { x: true, y: false } },
    scales: { x: { time: false } },
    axes: [
      { ...axis, space: 40, size: 26, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 1e5, 1e6] },
      { ...axis, space: 28, size: 54, values: (_, ticks) => ticks.map(numberText) },
    ],
    series: [
      {},
      ...chart.series.map(({ label }, index) => {
        const dash = DASHES[index % DASHES.length];
        return {
          label,
          stroke: color(TONES[index % TONES.length]!),
          width: 2,
          spanGaps: true,
          points: { size: 5 },
          ...(dash === undefined ? {} : { dash }),
        };
      }),
    ],
  };
}
