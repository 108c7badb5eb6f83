/** Commands about runs, for the list of commands, the shortcuts and the menu of a node. */

import type { Command } from "../editing/commands";
import type { DrawerTab } from "../state/drawerSlice";
import type { State } from "../state/store";
import { goToFailure } from "./goToFailure";
import { compareProblem, startProblem, submitProblem } from "./startProblem";
import { failedNode, namesInside, stateOfNode } from "./states";

const canStart = (state: State): boolean => startProblem(state) === "";
const nodes = (state: State): string[] => state.selected.filter((name) => !name.startsWith("input:"));
const hasNodes = (state: State): boolean => nodes(state).length > 0;
const canStartNodes = (state: State): boolean => canStart(state) && hasNodes(state);
const isNow = (state: State): boolean => state.document !== null && !state.isLookingBack;
const isRunning = (state: State): boolean => state.run?.state === "running";
const runningNodes = (state: State): string[] =>
  nodes(state).filter((name) => ["running", "waiting"].includes(stateOfNode(state.run, name)?.state ?? ""));

export const runCommands: Command[] = [
  {
    id: "run",
    title: "Run what changed",
    group: "Run",
    keys: ["Mod+Enter"],
    isForTyping: true,
    isEnabled: canStart,
    perform: (state) => state.startRun(),
  },
  {
    id: "run-all",
    title: "Run everything, reuse nothing",
    group: "Run",
    keys: ["Mod+Shift+Enter"],
    isForTyping: true,
    isEnabled: canStart,
    perform: (state) => state.startRun({ force: true }),
  },
  {
    id: "run-to",
    title: "Run to here",
    group: "Run",
    isForNodes: true,
    isEnabled: canStartNodes,
    perform: (state) => state.startRun({ to: nodes(state) }),
  },
  {
    id: "run-from",
    title: "Run from here",
    group: "Run",
    isForNodes: true,
    isEnabled: canStartNodes,
    perform: (state) => state.startRun({ from: nodes(state) }),
  },
  {
    id: "run-only",
    title: "Run only this",
    group: "Run",
    isForNodes: true,
    isEnabled: canStartNodes,
    perform: (state) => state.startRun({ only: nodes(state) }),
  },
  {
    id: "run-with-faults",
    title: "Run with a fault",
    group: "Run",
    isForNodes: true,
    isEnabled: (state) => canStart(state) && nodes(state).length === 1,
    perform: (state) => state.openRunDialog({ kind: "faults", node: nodes(state)[0]! }),
  },
  {
    id: "cancel-node",
    title: "Cancel this node",
    group: "Run",
    isForNodes: true,
    isEnabled: (state) => isRunning(state) && runningNodes(state).length > 0,
    perform: (state) =>
      Promise.all(
        runningNodes(state)
          .flatMap((name) => namesInside(state.run!, name))
          .map((name) => state.cancelRun(name)),
      ),
  },
  {
    id: "cancel-run",
    title: "Cancel the run",
    group: "Run",
    keys: ["Mod+."],
    isForTyping: true,
    isEnabled: isRunning,
    perform: (state) => state.cancelRun(),
  },
  {
    id: "show-log",
    title: "Show the log",
    group: "Run",
    keys: ["l"],
    isForNodes: true,
    isEnabled: (state) => state.run !== null,
    perform: (state) => goToTab(state, "logs"),
  },
  {
    id: "show-outputs",
    title: "Look at inputs and outputs",
    group: "Run",
    keys: ["o"],
    isForNodes: true,
    isEnabled: (state) => state.document !== null,
    perform: (state) => goToTab(state, "output"),
  },
  {
    id: "show-metrics",
    title: "Show the metrics",
    group: "Run",
    keys: ["m"],
    isForNodes: true,
    isEnabled: (state) => state.run !== null,
    perform: (state) => goToTab(state, "metrics"),
  },
  {
    id: "go-to-failure",
    title: "Go to the node that failed",
    group: "Run",
    isEnabled: (state) => failedNode(state.run) !== null,
    perform: goToFailure,
  },
  {
    id: "show-history",
    title: "Show the history of runs",
    group: "Run",
    perform: (state) => state.openDrawer("history"),
  },
  {
    id: "show-comparison",
    title: "Compare runs",
    group: "Run",
    problem: compareProblem,
    perform: (state) => state.openDrawer("compare"),
  },
  {
    id: "look-at-now",
    title: "Back to the last run",
    group: "Run",
    isEnabled: (state) => state.isLookingBack,
    perform: (state) => state.lookAtNow(),
  },
  {
    id: "submit",
    title: "Submit to Azure ML",
    group: "Document",
    isEnabled: (state) => state.document !== null,
    problem: submitProblem,
    perform: (state) => state.openRunDialog({ kind: "submit" }),
  },
  {
    id: "sdk-code",
    title: "Python SDK code of the pipeline",
    group: "Document",
    isEnabled: isNow,
    perform: (state) => state.openRunDialog({ kind: "sdk" }),
  },
];

/** Open a tab of the drawer and go there; Escape leads back. */
function goToTab(state: State, tab: DrawerTab): void {
  state.openDrawer(tab);
  requestAnimationFrame(() => document.querySelector<HTMLElement>("#drawer-panel")?.focus());
}
