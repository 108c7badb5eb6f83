/** The way to what went wrong in a run: the node that failed first, with its log open at the error. */

import { focusCard } from "../canvas/flowAccess";
import { useStore } from "../state/store";
import { failedNode, nodeOnCanvas } from "./states";

/** Room for an error with its advice and the lines of the log around it. */
const FAILURE_HEIGHT = 440;

export function goToFailure(): void {
  const { run, document, select, chooseNode, openDrawer, drawerHeight, setDrawerHeight, announce } = useStore.getState();
  const failed = failedNode(run);
  if (failed === null) return announce("No node of this run has failed.");
  const name = nodeOnCanvas(failed, document?.nodes.map((node) => node.name) ?? []);
  select(name === null ? [] : [name]);
  chooseNode(failed);
  setDrawerHeight(Math.max(drawerHeight, FAILURE_HEIGHT));
  openDrawer("logs");
  if (name !== null) focusCard(name);
}
