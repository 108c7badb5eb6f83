/** A tab of the drawer. */

import type { ComponentType } from "react";

import type { DrawerTab } from "../state/drawerSlice";
import type { State } from "../state/store";

export interface Tab {
  id: DrawerTab;
  title: string;
  Panel: ComponentType;
  /** A number beside the title, for example of faults. */
  count?: (state: State) => number;
  /** Whether the number is of what keeps the pipeline from running. */
  isBad?: (state: State) => boolean;
}
