/** What is selected, and the link that is being drawn. */

import type { PortEnd } from "../editing/linkRules";
import type { Slice } from "./store";

export interface SelectionSlice {
  /** Names of nodes; a pipeline input on the canvas is `input:NAME`. */
  selected: string[];
  /** The port at which a link was started, and for every other port why it does not fit; `null` where it does. */
  linking: { from: PortEnd; problems: Record<string, string | null> } | null;
  select: (names: string[]) => void;
  setLinking: (linking: SelectionSlice["linking"]) => void;
}

export const selectionSlice: Slice<SelectionSlice> = (set) => ({
  selected: [],
  linking: null,
  select: (selected) => set({ selected }),
  setLinking: (linking) => set({ linking }),
});
