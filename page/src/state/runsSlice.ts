/** The run that is looked at, and what a run would do with each node. */

import type { ForecastNode, NodeState, Run } from "../api/types";
import type { Slice } from "./store";

export interface RunsSlice {
  run: Run | null;
  forecast: Record<string, ForecastNode>;
}

export const runsSlice: Slice<RunsSlice> = () => ({
  run: null,
  forecast: {},
});

/** State of a node in the run that is looked at; for the strip on its card. */
export function nodeState(state: RunsSlice, node: string): NodeState | undefined {
  return state.run?.nodes[node];
}
