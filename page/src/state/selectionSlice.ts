/** What is selected, and the link that is being drawn. */

import { inputName, type PortEnd } from "../editing/linkRules";
import type { Slice } from "./store";

/** The input of the link whose end is taken elsewhere; null for a new link. */
export type MovedLink = PortEnd | null;
export interface SelectionSlice {
  /** Names of nodes; a pipeline input on the canvas is `input:NAME`. */
  selected: string[];
  /** Identifiers of links, as `linkId` makes them. */
  selectedLinks: string[];
  /** The port at which a link was started, and for every other port why it does not fit; `null` where it does. */
  linking: { from: PortEnd; problems: Record<string, string | null>; isDragged: boolean; moved: MovedLink } | null;
  /** A link that would take the place of another: a person decides. */
  replacing: { output: PortEnd; input: PortEnd; taken: string; moved: MovedLink } | null;
  select: (names: string[]) => void;
  selectLinks: (links: string[]) => void;
  setLinking: (linking: SelectionSlice["linking"]) => void;
  setReplacing: (replacing: SelectionSlice["replacing"]) => void;
}

export const selectionSlice: Slice<SelectionSlice> = (set) => ({
  selected: [],
  selectedLinks: [],
  linking: null,
  replacing: null,
  select: (selected) => set({ selected }),
  selectLinks: (selectedLinks) => set({ selectedLinks }),
  setLinking: (linking) => set({ linking }),
  setReplacing: (replacing) => set({ replacing }),
});

/** The nodes among what is selected, without pipeline inputs. */
export function selectedNodes(state: Pick<SelectionSlice, "selected">): string[] {
  return state.selected.filter((id) => inputName(id) === null);
}
