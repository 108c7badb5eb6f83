import { expect, it } from "vitest";

import { allCommands } from "../src/editing/allCommands";
import { isEnabled, isShown, problemOf, type Command } from "../src/editing/commands";
import { compareProblem, startProblem, submitProblem } from "../src/runs/startProblem";
import { useStore, type State } from "../src/state/store";
import { demo } from "./demo";

const project = {
  folder: "/p", name: "p", documents: [], open: null, version: "1", workspace: "workspace w", submit_problem: "",
  has_login: true, deleted: [], templates: [],
};
const ready = (changes: Partial<State> = {}): State => ({
  ...useStore.getState(), path: "pipeline.yaml", document: demo(), confirmed: demo(), project, isConnected: true, ...changes,
});
const command = (id: string): Command => allCommands().find((each) => each.id === id)!;

it("says what is missing for a submission, the nearest thing first", () => {
  expect(submitProblem(ready())).toBe("");
  const empty = { ...demo(), nodes: [] };
  const disabled = { ...demo(), nodes: demo().nodes.map((node, at) => ({ ...node, left_out: at === 0 ? "disabled" : "" })) };
  const cases: [Partial<State>, RegExp][] = [
    [{ document: null }, /No pipeline is open/],
    [{ isLookingBack: true }, /an earlier run/],
    [{ isConnected: false }, /does not answer/],
    [{ isGone: true }, /not in the folder/],
    [{ document: empty }, /no nodes/],
    [{ document: disabled }, new RegExp(`Azure ML would run ${demo().nodes[0]!.name}, disabled here`)],
    [{ project: { ...project, workspace: null, submit_problem: "No workspace is named." } }, /No workspace is named/],
  ];
  for (const [changes, problem] of cases) {
    expect(submitProblem(ready(changes))).toMatch(problem);
    expect(isEnabled(command("submit"), ready(changes))).toBe(false);
  }
});

it("says what is missing for a start, the nearest thing first", () => {
  expect(startProblem(ready())).toBe("");
  const disabled = { ...demo(), nodes: demo().nodes.map((node) => ({ ...node, left_out: "disabled" })) };
  const running = { state: "running" } as State["run"];
  const cases: [Partial<State>, RegExp][] = [
    [{ document: null }, /No pipeline is open/],
    [{ isLookingBack: true, run: running }, /an earlier run/],
    [{ isConnected: false, document: disabled }, /does not answer/],
    [{ isGone: true }, /not in the folder/],
    [{ document: { ...demo(), nodes: [] } }, /no nodes/],
    [{ document: disabled, run: running }, /All nodes are disabled/],
    [{ run: running }, /is running/],
  ];
  for (const [changes, problem] of cases) expect(startProblem(ready(changes))).toMatch(problem);
});

it("shows a command that would be refused with the reason, and hides one that has no sense", () => {
  const state = ready({ project: { ...project, submit_problem: "No workspace is named." } });
  expect([isShown(command("submit"), state), problemOf(command("submit"), state)]).toEqual([true, "No workspace is named."]);
  expect(isShown(command("submit"), ready({ document: null }))).toBe(false);
});

it("tells how many runs there are to compare", () => {
  expect(compareProblem({ runs: [] })).toBe("Two runs are needed; there is none.");
  const run = { run: "a" } as State["runs"][number];
  expect(compareProblem({ runs: [run] })).toBe("Two runs are needed; there is one.");
  expect(compareProblem({ runs: [run, run] })).toBe("");
});

it("refuses what an earlier run, a running one, or an empty pipeline has no use for", () => {
  const earlier = ready({ past: demo() });
  for (const id of ["name-version", "copy-document", "rename-document", "delete-document"]) {
    expect(problemOf(command(id), earlier)).toMatch(/earlier run/);
    expect(problemOf(command(id), ready())).toBe("");
  }
  const running = ready({ run: { state: "running" } as State["run"] });
  expect(problemOf(command("delete-document"), running)).toMatch(/running/);
  expect(problemOf(command("rename-document"), running)).toBe("");
  const empty = ready({ document: { ...demo(), nodes: [], inputs: [] } });
  expect(problemOf(command("picture"), empty)).toBe("The pipeline is empty.");
});
