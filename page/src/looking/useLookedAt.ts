/** The node of the run that the drawer shows: that of the selection, or the one that was chosen in the drawer. */

import { useStore, type State } from "../state/store";
import { failedNode, namesInside, nodeOnCanvas } from "../runs/states";

/** The node of the run; null where there is no run, or the selected node is not part of it. */
export function lookedAt(state: State): string | null {
  const { run, selected, chosenNode } = state;
  if (run === null) return null;
  const node = selected.find((name) => !name.startsWith("input:"));
  if (node !== undefined) {
    const inside = namesInside(run, node);
    return chosenNode !== null && inside.includes(chosenNode) ? chosenNode : (inside[0] ?? null);
  }
  if (chosenNode !== null && chosenNode in run.nodes) return chosenNode;
  const names = Object.keys(run.nodes);
  return failedNode(run) ?? names.find((name) => run.nodes[name]!.state === "running") ?? names[0] ?? null;
}

/** What the drawer says where there is no node of a run to show. */
export function nothingText(state: State, what: string): string {
  const node = state.selected.find((name) => !name.startsWith("input:"));
  if (state.run === null) return `${what} of a run are shown here. Nothing has been run yet.`;
  return node === undefined ? "The run has no nodes." : `${node} is not part of this run.`;
}

export function useLookedAt(): { node: string | null; names: string[]; choose: (node: string) => void } {
  const node = useStore(lookedAt);
  const run = useStore((state) => state.run);
  const choose = (wanted: string): void => {
    const { document, select, chooseNode } = useStore.getState();
    chooseNode(wanted);
    const shown = nodeOnCanvas(wanted, document?.nodes.map((other) => other.name) ?? []);
    select(shown === null ? [] : [shown]);
  };
  return { node, names: run === null ? [] : Object.keys(run.nodes), choose };
}
