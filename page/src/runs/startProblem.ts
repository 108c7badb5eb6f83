/** Why something about runs would be refused, known before the click. */

import { DISABLED } from "../api/types";
import { listed } from "../shared/words";
import type { State } from "../state/store";

/** Why nothing can be started now; empty where it can. */
export function startProblem(state: State): string {
  const problem = pipelineProblem(state);
  if (problem !== "") return problem;
  if (state.document?.nodes.every(({ left_out }) => left_out !== "")) return "All nodes are disabled.";
  if (state.run?.state === "running") return "This pipeline is running.";
  return "";
}

/** Why the pipeline cannot be submitted to a workspace, as far as this machine knows; empty where it can. */
export function submitProblem(state: State): string {
  const problem = pipelineProblem(state);
  if (problem !== "") return problem;
  const nodes = state.document?.nodes ?? [];
  const disabled = nodes.filter(({ left_out }) => left_out === DISABLED).map(({ name }) => name);
  if (disabled.length > 0) return `Azure ML would run ${listed(disabled)}, disabled here. Enable or remove that first.`;
  return state.project?.submit_problem ?? "";
}

/** Why there is no pipeline that could run, here or in a workspace; empty where there is one. */
function pipelineProblem(state: State): string {
  if (state.document === null) return "No pipeline is open.";
  if (state.isLookingBack) return "This is an earlier run: clone its pipeline, or go back to now.";
  if (!state.isConnected) return "The designer does not answer.";
  if (state.isGone) return "The file is not in the folder any more.";
  if (state.document.nodes.length === 0) return "The pipeline has no nodes.";
  return "";
}

/** Why there is nothing to compare; empty where there is. */
export function compareProblem({ runs }: Pick<State, "runs">): string {
  return runs.length >= 2 ? "" : `Two runs are needed; there is ${runs.length === 1 ? "one" : "none"}.`;
}
