/** The drawer at the bottom: which of its tabs is open. */

import type { Slice } from "./store";

export type DrawerTab = "problems" | "text" | "logs" | "output" | "metrics" | "history" | "compare";
export interface DrawerSlice {
  drawerTab: DrawerTab | null;
  drawerHeight: number;
  openDrawer: (tab: DrawerTab | null) => void;
  setDrawerHeight: (height: number) => void;
}

const MIN_HEIGHT = 120;

export const drawerSlice: Slice<DrawerSlice> = (set) => ({
  drawerTab: null,
  drawerHeight: 280,
  openDrawer: (drawerTab) => set({ drawerTab }),
  setDrawerHeight: (height) => set({ drawerHeight: Math.max(MIN_HEIGHT, Math.round(height)) }),
});
