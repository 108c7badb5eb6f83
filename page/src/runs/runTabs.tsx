/** Tabs of the drawer that show a run. */

import type { Tab } from "../drawer/tabs";

export const runTabs: Tab[] = [];
