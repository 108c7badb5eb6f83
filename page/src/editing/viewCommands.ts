/** Commands that change what is seen, and not the document. */

import { fitAll, zoomBy } from "../canvas/flowAccess";
import { downloadPicture } from "../canvas/pictureOfPipeline";
import type { Fault } from "../api/types";
import { faultKey, inOrder } from "../drawer/Problems";
import { goToFailure } from "../runs/goToFailure";
import { failedNode } from "../runs/states";
import type { State } from "../state/store";
import type { Command } from "./commands";
import { focusCard } from "../canvas/flowAccess";

const hasDocument = (state: State): boolean => state.document !== null;

export const viewCommands: Command[] = [
  {
    id: "commands",
    title: "Search everything",
    group: "View",
    keys: ["Mod+k", "Mod+f", "Mod+Shift+p"], // the browser's own search finds no card that is out of sight
    isForTyping: true,
    perform: (state) => state.openDialog("commands"),
  },
  { id: "shortcuts", title: "Keyboard shortcuts", group: "View", keys: ["?"], perform: (state) => state.openDialog("shortcuts") },
  { id: "fit", title: "Show all", group: "View", keys: ["f", "1"], isForCanvas: true, isEnabled: hasDocument, perform: () => fitAll() },
  {
    id: "fit-selected",
    title: "Show what is selected",
    group: "View",
    keys: ["Shift+f", "2"],
    isEnabled: (state) => state.selected.length > 0,
    perform: (state) => fitAll(undefined, state.selected),
  },
  { id: "zoom-in", title: "Zoom in", group: "View", keys: ["+", "="], isEnabled: hasDocument, perform: () => zoomBy(1) },
  { id: "zoom-out", title: "Zoom out", group: "View", keys: ["-"], isEnabled: hasDocument, perform: () => zoomBy(-1) },
  {
    id: "find",
    title: "Search the palette",
    group: "View",
    keys: ["/"],
    isEnabled: hasDocument,
    perform: (state) => {
      state.openSidePanel("palette");
      requestAnimationFrame(() => document.querySelector<HTMLInputElement>("#palette-search")?.focus());
    },
  },
  {
    id: "details",
    title: "Go to the details",
    group: "View",
    keys: ["e"],
    isEnabled: hasDocument,
    perform: (state) => {
      state.openSidePanel("details");
      requestAnimationFrame(() => {
        const fields = ".details details.pane-section :is(input, select, textarea):not(:disabled, .source-select *)";
        (document.querySelector<HTMLElement>(fields) ?? document.querySelector<HTMLElement>(".details input"))?.focus();
      });
    },
  },
  {
    id: "canvas",
    title: "Go to the canvas",
    group: "View",
    keys: ["g"],
    isEnabled: hasDocument,
    perform: (state) => {
      const name = state.selected[0] ?? state.document?.nodes[0]?.name;
      if (name !== undefined) focusCard(name);
    },
  },
  {
    id: "next-problem",
    title: "Next problem",
    group: "View",
    keys: ["F8"],
    isForTyping: true,
    isEnabled: (state) => problemsOf(state).length > 0,
    perform: nextProblem,
  },
  {
    id: "text",
    title: "Show the YAML",
    group: "Document",
    keys: ["y"],
    isEnabled: hasDocument,
    perform: (state) => state.openDrawer("text"),
  },
  {
    id: "picture",
    title: "Save a picture (SVG)",
    group: "Document",
    isForCanvas: true,
    isEnabled: hasDocument,
    problem: ({ document }) =>
      document === null || document.nodes.length + document.inputs.length > 0 ? "" : "The pipeline is empty.",
    perform: downloadPicture,
  },
  ...(["light", "dark", "system"] as const).map(
    (theme): Command => ({
      id: `theme-${theme}`,
      title: `Colors: ${theme === "system" ? "as the system" : theme}`,
      group: "View",
      perform: () => setTheme(theme),
    }),
  ),
];

const THEME = "theme";

export function setTheme(theme: string): void {
  window.localStorage.setItem(THEME, theme);
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
}

export function restoreTheme(): void {
  setTheme(window.localStorage.getItem(THEME) ?? "system");
}

/** What is wrong, in the order in which F8 goes to it: the node that failed in the run, then the faults of the file. */
function problemsOf(state: State): ("failure" | Fault)[] {
  return [...(failedNode(state.run) === null ? [] : ["failure" as const]), ...inOrder(state.document?.faults ?? [])];
}

let last = "";

function nextProblem(state: State): void {
  const problems = problemsOf(state);
  const keys = problems.map((problem) => (problem === "failure" ? `failure of ${state.run?.run}` : faultKey(problem)));
  const at = (keys.indexOf(last) + 1) % problems.length;
  const problem = problems[at];
  last = keys[at] ?? "";
  if (problem === undefined) return;
  if (problem === "failure") return goToFailure();
  state.openDrawer("problems");
  state.announce(`Problem ${at + 1} of ${problems.length}: ${problem.message}`);
  if (problem.node === null) return;
  state.select([problem.node]);
  focusCard(problem.node);
}
