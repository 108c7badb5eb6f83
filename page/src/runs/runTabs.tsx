/** Tabs of the drawer that show a run. */

import type { Tab } from "../drawer/tab";
import { LogTab } from "../looking/LogTab";
import { MetricsTab } from "../looking/MetricsTab";
import { OutputTab } from "../looking/OutputTab";
import { CompareTab } from "./CompareTab";
import { HistoryTab } from "./HistoryTab";

export const runTabs: Tab[] = [
  { id: "logs", title: "Log", Panel: LogTab },
  { id: "output", title: "Data", Panel: OutputTab },
  { id: "metrics", title: "Metrics", Panel: MetricsTab },
  { id: "history", title: "History", Panel: HistoryTab },
  { id: "compare", title: "Compare", Panel: CompareTab },
];
