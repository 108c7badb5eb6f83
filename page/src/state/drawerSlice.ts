/** The drawer at the bottom: which of its tabs is open. */

import type { Slice } from "./store";

export type DrawerTab = "problems" | "text" | "logs" | "output" | "metrics" | "history" | "compare";
export interface DrawerSlice {
  drawerTab: DrawerTab | null;
  drawerHeight: number;
  /** The line of the YAML that is to be shown next. */
  textLine: number | null;
  openDrawer: (tab: DrawerTab | null) => void;
  setTextLine: (line: number | null) => void;
  setDrawerHeight: (height: number) => void;
}

const MIN_HEIGHT = 120;

export const drawerSlice: Slice<DrawerSlice> = (set) => ({
  drawerTab: null,
  drawerHeight: 280,
  textLine: null,
  openDrawer: (drawerTab) => set({ drawerTab }),
  setTextLine: (textLine) => set({ textLine }),
  setDrawerHeight: (height) => set({ drawerHeight: Math.max(MIN_HEIGHT, Math.round(height)) }),
});
