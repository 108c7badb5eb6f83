import type { State } from "../state/store";

/** Why nothing can be started now; empty where it can. */
export function startProblem(state: State): string {
  if (state.document === null) return "No pipeline is open.";
  if (state.document.nodes.length === 0) return "The pipeline has no nodes.";
  if (state.document.nodes.every(({ left_out }) => left_out !== "")) return "All nodes are disabled.";
  if (state.isLookingBack) return "This is an earlier run: clone its pipeline, or go back to now.";
  if (!state.isConnected) return "The designer does not answer.";
  if (state.run?.state === "running") return "This pipeline is running.";
  return "";
}
