/** Making a link: by dragging, by two clicks or taps, or by Enter at one port and Enter at another. */

import { focusPort } from "../canvas/flowAccess";
import type { Edit } from "../api/types";
import { useStore } from "../state/store";
import { allEnds, endKey, linkProblem, ordered, portAt, problemsFrom, sourceOf, takenBy, type PortEnd } from "./linkRules";

export function startLink(from: PortEnd, isDragged: boolean): void {
  const { document, setLinking, announce } = useStore.getState();
  if (document === null || document.read_only !== null) return;
  const problems = problemsFrom(document, from);
  setLinking({ from, problems, isDragged });
  const num_fitting = Object.values(problems).filter((problem) => problem === null).length;
  const ports = num_fitting === 1 ? "One port fits" : `${num_fitting} ports fit`;
  if (!isDragged) announce(`Link from ${shownEnd(from)}. ${ports}: arrow keys go to them, Enter links, Escape stops.`);
}

export function stopLink(): void {
  useStore.getState().setLinking(null);
}

/** End the link that is being drawn at this port: it is made, refused with the reason, or asked about. */
export function endLink(end: PortEnd): void {
  const { linking, document, notify, setReplacing } = useStore.getState();
  stopLink();
  if (linking === null || document === null) return;
  const pair = ordered(linking.from, end);
  const problem = pair === null ? "A link goes from an output to an input." : linkProblem(document, pair.output, pair.input);
  if (pair === null || problem !== null) {
    if (endKey(linking.from) !== endKey(end)) notify(problem ?? "");
    return;
  }
  const taken = takenBy(document, pair.input);
  if (taken === null) makeLink(pair.output, pair.input);
  else if (taken !== shownSource(pair.output)) setReplacing({ ...pair, taken });
}

export function makeLink(output: PortEnd, input: PortEnd): void {
  const { document, edit, announce } = useStore.getState();
  const link: Edit = { op: "connect", node: input.node, port: input.port, from: sourceOf(output) };
  const isTaken = document !== null && takenBy(document, input) !== null;
  void edit(`Connect ${shownEnd(output)} to ${shownEnd(input)}`, [isTaken ? { ...link, replaces: true } : link]);
  announce(`${shownEnd(output)} is linked to ${shownEnd(input)}.`);
}

/** Put the focus on the next or previous port that fits the link; for 0, on the one that fits best. */
export function focusFitting(from: PortEnd, step: 1 | -1 | 0): void {
  const { linking, document } = useStore.getState();
  if (linking === null || document === null) return;
  const fitting = allEnds(document).filter((end) => linking.problems[endKey(end)] === null);
  if (step === 0) {
    const wanted = portAt(document, from)?.directory_type;
    const free = fitting.filter((end) => end.side === "output" || takenBy(document, end) === null);
    const exact = free.find((end) => portAt(document, end)?.directory_type === wanted);
    const best = exact ?? free[0] ?? fitting[0];
    if (best !== undefined) focusPort(best);
    return;
  }
  const at = fitting.findIndex((end) => endKey(end) === endKey(from));
  const next = fitting[(at === -1 && step === -1 ? fitting.length - 1 : at + step + fitting.length) % fitting.length];
  if (next !== undefined) focusPort(next);
}

/** Put the focus on the next or previous port of the same card. */
export function focusBeside(from: PortEnd, step: 1 | -1): void {
  const { document } = useStore.getState();
  const own = document === null ? [] : allEnds(document).filter(({ node }) => node === from.node);
  const next = own[own.findIndex((end) => endKey(end) === endKey(from)) + step];
  if (next !== undefined) focusPort(next);
}

/** Put the focus on a port of a card: the first that needs a link, or else an output. */
export function focusFirstPort(card: string): void {
  const { document } = useStore.getState();
  const own = document === null ? [] : allEnds(document).filter(({ node }) => node === card);
  if (document === null) return;
  const free = own.filter((end) => end.side === "input" && takenBy(document, end) === null);
  const needed = free.find((end) => portAt(document, end)?.optional === false);
  const first = needed ?? free[0] ?? own.find(({ side }) => side === "output") ?? own[0];
  if (first !== undefined) focusPort(first);
}

export function shownEnd(end: PortEnd): string {
  const source = sourceOf(end);
  return "input" in source ? source.input : `${source.node}.${source.port}`;
}

function shownSource(end: PortEnd): string {
  const source = sourceOf(end);
  return "input" in source ? `the pipeline input ${source.input}` : `${source.node}.${source.port}`;
}
