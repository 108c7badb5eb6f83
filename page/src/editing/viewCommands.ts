/** Commands that change what is seen, and not the document. */

import { fitAll, zoomBy } from "../canvas/flowAccess";
import { downloadPicture } from "../canvas/pictureOfPipeline";
import type { State } from "../state/store";
import type { Command } from "./commands";
import { focusCard } from "../canvas/flowAccess";

const hasDocument = (state: State): boolean => state.document !== null;

export const viewCommands: Command[] = [
  {
    id: "commands",
    title: "All commands",
    group: "View",
    keys: ["Mod+k", "Mod+Shift+p"],
    isForTyping: true,
    perform: (state) => state.openDialog("commands"),
  },
  { id: "shortcuts", title: "Keyboard shortcuts", group: "View", keys: ["?"], perform: (state) => state.openDialog("shortcuts") },
  { id: "fit", title: "Show all", group: "View", keys: ["f", "1"], isEnabled: hasDocument, perform: () => fitAll() },
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
      requestAnimationFrame(() => document.querySelector<HTMLElement>(".details input, .details select")?.focus());
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
    isEnabled: (state) => (state.document?.faults.length ?? 0) > 0,
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
    isEnabled: hasDocument,
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

let shown = -1;

function nextProblem(state: State): void {
  const places = state.document?.faults.filter((fault) => fault.node !== null) ?? [];
  shown = (shown + 1) % Math.max(1, places.length);
  state.openDrawer("problems");
  const node = places[shown]?.node;
  if (node == null) return;
  state.select([node]);
  focusCard(node);
  state.announce(places[shown]?.message ?? "");
}
