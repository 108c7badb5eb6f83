/** What lies over or beside the canvas for a moment: dialogs, the search at the cursor, panels of a narrow window. */

import type { Point } from "../api/types";
import type { PortEnd } from "../editing/linkRules";
import type { Slice } from "./store";

export type Dialog = "commands" | "shortcuts" | "versions" | "new-document" | "copy-document" | "rename-document" | "delete-document";
export type SidePanel = "palette" | "details";
export interface ViewSlice {
  dialog: Dialog | null;
  /** The search for something to add: where it is shown, where the node goes, the ports it has to fit. */
  adding: { at: Point; place: Point; fitting: PortEnd[]; text: string } | null;
  /** The panel that is open where there is no room for both. */
  sidePanel: SidePanel | null;
  /** Where the menu of what is selected is open, or that of the canvas where nothing is. */
  menu: Point | null;
  /** Grows each time that all cards are to be laid out anew. */
  arrangement: number;
  openDialog: (dialog: Dialog | null) => void;
  setAdding: (adding: ViewSlice["adding"]) => void;
  openSidePanel: (panel: SidePanel | null) => void;
  openMenu: (at: Point | null) => void;
  arrange: () => void;
}

export const viewSlice: Slice<ViewSlice> = (set) => ({
  dialog: null,
  adding: null,
  sidePanel: null,
  menu: null,
  arrangement: 0,
  openDialog: (dialog) => set({ dialog }),
  setAdding: (adding) => set({ adding }),
  openSidePanel: (sidePanel) => set({ sidePanel }),
  openMenu: (menu) => set({ menu }),
  arrange: () => set((state) => ({ arrangement: state.arrangement + 1 })),
});
