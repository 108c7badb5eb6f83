/** Comparison of two runs: rows in groups, with the change of each number. */

import type { ComparisonRow, Literal } from "../api/types";
import { changeText, durationText, numberText } from "./wording";

export interface ComparedGroup {
  kind: ComparisonRow["kind"];
  title: string;
  rows: ComparisonRow[];
  numDiffering: number;
}

const TITLES: readonly [ComparisonRow["kind"], string][] = [
  ["input", "Pipeline inputs"],
  ["parameter", "Parameters"],
  ["metric", "Metrics"],
  ["output", "Outputs"],
  ["state", "States"],
  ["duration", "Durations"],
];

/** The rows by kind, in the order of what causes what; groups without a row are left out. */
export function groupRows(rows: readonly ComparisonRow[], search: string, onlyDifferences: boolean): ComparedGroup[] {
  const wanted = search.trim().toLowerCase();
  const isFound = (row: ComparisonRow) =>
    (!onlyDifferences || row.differs) && `${row.node ?? ""} ${row.name}`.toLowerCase().includes(wanted);
  return TITLES.map(([kind, title]) => {
    const all = rows.filter((row) => row.kind === kind);
    return { kind, title, rows: all.filter(isFound), numDiffering: all.filter((row) => row.differs).length };
  }).filter((group) => group.rows.length > 0);
}

export function comparedText(row: ComparisonRow, side: "a" | "b"): string {
  const value = row[side];
  if (value === null || value === undefined) return "–";
  const number = asNumber(value);
  if (number === null) return String(value);
  if (row.kind === "duration") return durationText(number);
  return typeof value === "number" ? numberText(number) : String(value);
}

/** The change from a to b: "+0.021", "2.1 times as long"; empty where there is none to tell. */
export function differenceText(row: ComparisonRow): string {
  const [a, b] = [asNumber(row.a), asNumber(row.b)];
  if (a === null || b === null) {
    if (!row.differs) return "";
    if (row.a === null) return "only in B";
    return row.b === null ? "only in A" : "differs";
  }
  if (!row.differs && row.kind !== "duration") return "";
  if (row.kind !== "duration") return changeText(b - a);
  if (a <= 0 || b <= 0 || Math.abs(b - a) < 0.05) return "";
  return `${numberText(Number((b / a).toPrecision(2)))} times`;
}

function asNumber(value: Literal | null): number | null {
  if (value === null || value === "" || typeof value === "boolean") return null;
  const number = Number(value);
  return Number.isFinite(number) ? number : null;
}
