import { describe, expect, it } from "vitest";

import { FAULT_KINDS, faultProblem, faultText } from "../src/runs/faults";
import { forecastOfNode, forecastSummary, forecastText, type NodeForecasts } from "../src/runs/forecast";

const NOW = new Date(2026, 10, 28, 15, 30).getTime() / 1000;
const AT_11 = new Date(2026, 10, 28, 11, 2).getTime() / 1000;

const reused = { state: "reused" as const, reason: "", reused_from: AT_11 };
const runs = { state: "runs" as const, reason: "parameter epochs: 5 -> 6" };
const depends = { state: "depends" as const, reason: "depends on what train will write" };

describe("forecast", () => {
  it("says from when a result is reused", () => {
    expect(forecastText(reused, NOW).short).toBe("reused, from 11:02");
    expect(forecastText({ ...reused, reused_from: AT_11 - 86400 }, NOW).short).toBe("reused, from Nov 27, 11:02");
  });

  it("says what changed", () => {
    expect(forecastText(runs).short).toBe("runs: parameter epochs: 5 → 6");
    expect(forecastText(depends)).toMatchObject({ short: "depends on what train will write", tone: "quiet" });
  });

  it.each<[NodeForecasts, string]>([
    [{}, "no node would run"],
    [{ a: reused, b: reused }, "nothing has changed: all reused"],
    [{ a: reused, b: runs, c: depends }, "1 node runs, 1 depends on it, 1 reused"],
    [{ a: runs, b: runs }, "2 nodes run"],
  ])("is summed up: %j", (forecast, text) => expect(forecastSummary(forecast)).toBe(text));

  it("of a node that holds nodes is that of the first inside that runs", () => {
    const forecast = { "outer.a": reused, "outer.b": runs, other: runs };
    expect(forecastOfNode(forecast, "outer")).toEqual({ ...runs, reason: "b: parameter epochs: 5 -> 6" });
    expect(forecastOfNode(forecast, "absent")).toBeNull();
  });
});

describe("faults on demand", () => {
  const kind = (name: string) => FAULT_KINDS.find((each) => each.name === name)!;

  it.each([
    ["kill-after", "2.5", "", "kill-after=2.5"],
    ["full-output", "1m", "model", "full-output=model:1m"],
    ["read-only-output", "", "model", "read-only-output=model"],
    ["no-network", "", "", "no-network"],
    ["flaky-open", " 0.1 ", "", "flaky-open=0.1"],
  ])("%s is written as the command line has it", (name, value, output, text) => {
    expect(faultProblem(kind(name), value)).toBeNull();
    expect(faultText(kind(name), value, output)).toBe(text);
  });

  it.each([
    ["kill-after", "0"],
    ["kill-after", ""],
    ["kill-at-write", "1.5"],
    ["kill-at-write", "0"],
    ["flaky-open", "1.1"],
    ["full-output", "64q"],
    ["small-shm", "0m"],
    ["slow-open", "Infinity"],
  ])("%s does not take %s", (name, value) => expect(faultProblem(kind(name), value)).not.toBeNull());
});
