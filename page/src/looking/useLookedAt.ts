/** The node of the run that the drawer shows: that of the selection, or the one that was chosen in the drawer. */

import { useStore, type State } from "../state/store";
import { failedNode, namesInside, nodeOnCanvas } from "../runs/states";

/** The node of the run; null where there is no run or it has no nodes. */
export function lookedAt(state: State): string | null {
  const { run, selected, chosenNode } = state;
  if (run === null) return null;
  const inside = selected[0] === undefined ? [] : namesInside(run, selected[0]);
  if (inside.length > 0) return chosenNode !== null && inside.includes(chosenNode) ? chosenNode : inside[0]!;
  if (chosenNode !== null && chosenNode in run.nodes) return chosenNode;
  const names = Object.keys(run.nodes);
  return failedNode(run) ?? names.find((name) => run.nodes[name]!.state === "running") ?? names[0] ?? null;
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
