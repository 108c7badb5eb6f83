/** The tabs of the drawer, in their order. */

import { runTabs } from "../runs/runTabs";
import { Problems } from "./Problems";
import type { Tab } from "./tab";
import { TextPanel } from "./TextPanel";

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
