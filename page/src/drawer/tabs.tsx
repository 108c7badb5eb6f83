/** The tabs of the drawer, in their order. */

import type { ComponentType } from "react";

import { runTabs } from "../runs/runTabs";
import type { DrawerTab } from "../state/drawerSlice";
import type { State } from "../state/store";
import { Problems } from "./Problems";
import { TextPanel } from "./TextPanel";

export interface Tab {
  id: DrawerTab;
  title: string;
  Panel: ComponentType;
  /** A number beside the title, for example of faults. */
  count?: (state: State) => number;
  /** Whether the number is of what keeps the pipeline from running. */
  isBad?: (state: State) => boolean;
}

export const tabs: Tab[] = [
  {
    id: "problems",
    title: "Problems",
    Panel: Problems,
    count: (state) => state.document?.faults.length ?? 0,
    isBad: (state) => state.document?.faults.some(({ severity }) => severity === "error") ?? false,
  },
  ...runTabs,
  { id: "text", title: "YAML", Panel: TextPanel },
];
