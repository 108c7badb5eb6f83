import { describe, expect, it } from "vitest";

import type { ComparisonRow } from "../src/api/types";
import { chartsOf, columnsOf } from "../src/looking/series";
import { comparedText, differenceText, groupRows } from "../src/runs/comparison";
import { agoText, clockText, durationText, elapsedText, numberText, sizeText } from "../src/runs/wording";

const row = (more: Partial<ComparisonRow>): ComparisonRow => ({
  kind: "metric",
  node: "train",
  name: "accuracy",
  a: 0.9,
  b: 0.95,
  differs: true,
  ...more,
});

describe("comparison of two runs", () => {
  it("is grouped in the order of what causes what, and counts differences", () => {
    const rows = [
      row({}),
      row({ kind: "parameter", name: "epochs", a: "5", b: "6" }),
      row({ kind: "parameter", name: "seed", a: "1", b: "1", differs: false }),
    ];
    const groups = groupRows(rows, "", false);
    expect(groups.map(({ title, rows: { length }, numDiffering }) => [title, length, numDiffering])).toEqual([
      ["Parameters", 2, 1],
      ["Metrics", 1, 1],
    ]);
    expect(groupRows(rows, "SEED", false)[0]!.rows[0]!.name).toBe("seed");
    expect(groupRows(rows, "seed", true)).toEqual([]);
  });

  it.each<[Partial<ComparisonRow>, string, string]>([
    [{}, "0.9", "+0.05"],
    [{ kind: "parameter", a: "5", b: "6" }, "5", "+1"],
    [{ kind: "parameter", a: "adam", b: "sgd" }, "adam", "differs"],
    [{ a: null, b: 1 }, "–", "only in B"],
    [{ a: 1, b: null }, "1", "only in A"],
    [{ kind: "duration", a: 10, b: 21, differs: true }, "10 s", "2.1 times"],
    [{ kind: "state", a: "completed", b: "completed", differs: false }, "completed", ""],
  ])("%j reads well", (more, text, difference) => {
    expect(comparedText(row(more), "a")).toBe(text);
    expect(differenceText(row(more))).toBe(difference);
  });
});

describe("series of metrics", () => {
  it("draw what is measured alike together, and show single values as numbers", () => {
    const metrics = {
      train_loss: [[1, 2, 0], [2, 1, 1]],
      validation_loss: [[1, 3, 0], [2, null, 1]],
      best_epoch: [[2, 2, 1]],
    } as Record<string, [number, number | null, number][]>;
    const { charts, singles } = chartsOf([{ label: "", metrics }]);
    expect(charts.map(({ title, series }) => [title, series.map(({ label }) => label)])).toEqual([
      ["loss", ["train", "validation"]],
    ]);
    expect(singles).toEqual([{ name: "best_epoch", values: [2] }]);
    expect(columnsOf(charts[0]!.series)).toEqual([[1, 2], [2, 1], [3, null]]);
  });

  it("of two runs share their steps", () => {
    const one = { loss: [[1, 5, 0], [2, 4, 0]] as [number, number, number][] };
    const other = { loss: [[2, 3, 0], [3, 2, 0]] as [number, number, number][] };
    const { charts } = chartsOf([
      { label: "A", metrics: one },
      { label: "B", metrics: other },
    ]);
    expect(charts[0]!.series.map(({ label }) => label)).toEqual(["A", "B"]);
    expect(columnsOf(charts[0]!.series)).toEqual([[1, 2, 3], [5, 4, null], [null, 3, 2]]);
  });
});

describe("wording", () => {
  it.each([
    [0.04, "0.0 s"],
    [4.25, "4.3 s"],
    [9.97, "10 s"],
    [59.6, "1 min 0 s"],
    [83, "1 min 23 s"],
    [7500, "2 h 5 min"],
  ])("of %d seconds is %s", (seconds, text) => expect(durationText(seconds)).toBe(text));

  it("of times says the day where it is not today", () => {
    const now = new Date(2026, 10, 28, 15, 30).getTime() / 1000;
    expect(clockText(now - 60, now)).toBe("15:29");
    expect(clockText(now - 86400 * 400, now)).toBe("Oct 24, 2025, 15:30");
    expect([agoText(now - 5, now), agoText(now - 300, now), agoText(now - 7200, now)]).toEqual(["just now", "5 min ago", "2 h ago"]);
    expect(elapsedText(12.9)).toBe("12 s");
  });

  it("of sizes and numbers is short", () => {
    expect([sizeText(1), sizeText(999), sizeText(1234), sizeText(999_900)]).toEqual(["1 byte", "999 bytes", "1.2 kB", "1.0 MB"]);
    expect([0.93124, 1250, -3, 1.5e-7, NaN, Infinity].map(numberText)).toEqual(["0.9312", "1,250", "−3", "1.50e−7", "NaN", "∞"]);
  });
});
