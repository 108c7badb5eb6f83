import { describe, expect, it } from "vitest";

import type { NodeState, Run, RunEvent, RunSummary } from "../src/api/types";
import { announcementOf, fold, foldSummary } from "../src/runs/runEvents";
import { countsOf, failedNode, nodeOnCanvas, stateOfNode } from "../src/runs/states";

const summary = (run: string, state = "running"): RunSummary => ({
  run,
  name: "digits",
  state,
  started: 1000,
  seconds: null,
  document: "pipeline.yaml",
  num_nodes: 2,
  num_reused: 0,
  error: null,
});
const node = (state: NodeState["state"], more: Partial<NodeState> = {}): NodeState => ({
  state,
  started: null,
  seconds: null,
  progress: null,
  reason: null,
  reused_from: null,
  exit_code: null,
  error: null,
  peak_memory_bytes: null,
  log_files: [],
  outputs: [],
  ...more,
});
const run = (nodes: Record<string, NodeState>, sequence = 5): Run => ({ ...summary("r1"), nodes, inputs: {}, sequence });
const event = (more: Partial<RunEvent>): RunEvent => ({
  run: "r1",
  sequence: 6,
  kind: "node",
  summary: summary("r1"),
  ...more,
});

describe("events of a run", () => {
  it("change one node and leave the others as they are", () => {
    const before = run({ a: node("completed"), b: node("waiting") });
    const { run: after, isStale } = fold(before, event({ node: "b", state: node("running") }));
    expect(after.nodes["b"]!.state).toBe("running");
    expect(after.nodes["a"]).toBe(before.nodes["a"]);
    expect(after.sequence).toBe(6);
    expect(isStale).toBe(false);
  });

  it("that are known already, or of another run, change nothing", () => {
    const before = run({ a: node("completed") });
    expect(fold(before, event({ sequence: 5, node: "a", state: node("running") })).run).toBe(before);
    expect(fold(before, event({ run: "r2", node: "a", state: node("running") })).run).toBe(before);
  });

  it("of an unknown node make the run stale", () => {
    expect(fold(run({}), event({ node: "new", state: node("running") })).isStale).toBe(true);
  });

  it("end the run with its state and duration", () => {
    const ended = event({ kind: "ended", summary: { ...summary("r1", "failed"), seconds: 12, error: "b failed" } });
    const { run: after } = fold(run({ b: node("failed") }), ended);
    expect([after.state, after.seconds]).toEqual(["failed", 12]);
    expect(announcementOf(ended)).toBe("digits: failed. b failed");
  });

  it("keep the order of the list and put a new run first", () => {
    const list = [summary("r2"), summary("r1")];
    expect(foldSummary(list, event({ summary: summary("r1", "completed") })).map((each) => each.run)).toEqual(["r2", "r1"]);
    expect(foldSummary(list, event({ run: "r3", summary: summary("r3") }))[0]!.run).toBe("r3");
  });

  it("announce ends and failures, and not every step", () => {
    const error = { name: "X", code: null, reason: null, message: "No images.", where: null, advice: "", examples: [] };
    const failed = node("failed", { error });
    expect(announcementOf(event({ node: "train", state: failed }))).toBe("train failed. No images.");
    expect(announcementOf(event({ node: "train", state: node("running") }))).toBeNull();
  });
});

describe("state of a node on the canvas", () => {
  it("that holds nodes is that of the most urgent one", () => {
    const inner = { "outer.a": node("completed", { started: 1, seconds: 2 }), "outer.b": node("failed", { started: 3, seconds: 4 }) };
    expect(stateOfNode(run(inner), "outer")).toMatchObject({ state: "failed", started: 1, seconds: 6 });
  });

  it("that holds nodes counts those that have ended", () => {
    const inner = { "outer.a": node("completed"), "outer.b": node("waiting") };
    const state = stateOfNode(run(inner), "outer");
    expect(state).toMatchObject({ state: "running", progress: { text: "1 of 2 nodes", fraction: 0.5 } });
  });

  it("is not taken from a node whose name begins alike", () => {
    expect(stateOfNode(run({ outer_two: node("failed") }), "outer")).toBeNull();
    expect(nodeOnCanvas("outer.a", ["outer_two", "outer", "out"])).toBe("outer");
  });

  it("finds the failure that came first", () => {
    const nodes = { late: node("failed", { started: 9, seconds: 9 }), early: node("failed", { started: 1, seconds: 2 }) };
    expect(failedNode(run(nodes))).toBe("early");
    expect(failedNode(run({ a: node("completed") }))).toBeNull();
  });

  it("is counted for the run", () => {
    const nodes = { a: node("reused"), b: node("running"), c: node("waiting"), d: node("failed") };
    expect(countsOf(run(nodes))).toEqual({ total: 4, ended: 2, running: 1, reused: 1, failed: 1 });
  });
});
