/** Making and moving a link: by dragging, by two clicks or taps, or by Enter at one port and Enter at another. */

import { focusPort } from "../canvas/flowAccess";
import type { Edit } from "../api/types";
import { useStore } from "../state/store";
import type { MovedLink } from "../state/selectionSlice";
import {
  allEnds,
  endKey,
  linkProblem,
  ordered,
  portAt,
  problemsFrom,
  replacedBy,
  sourceOf,
  takenBy,
  type PortEnd,
} from "./linkRules";

/** Start a link at a port, or take the other end of the link of the input `moved` from where it is. */
export function startLink(from: PortEnd, isDragged: boolean, moved: MovedLink = null): void {
  const { document, setLinking, announce } = useStore.getState();
  if (document === null || document.read_only !== null) return;
  const problems = problemsFrom(document, from);
  setLinking({ from, problems, isDragged, moved });
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
  if (takenBy(document, pair.input) === shownSource(pair.output)) return; // it is there already
  const taken = replacedBy(document, pair.input, linking.moved);
  if (taken === null) makeLink(pair.output, pair.input, linking.moved);
  else setReplacing({ ...pair, taken, moved: linking.moved });
}

/** Link two ports in place of what the input is bound to and, where a link is moved, of that link. */
export function makeLink(output: PortEnd, input: PortEnd, moved: MovedLink = null): void {
  const { document, edit, announce } = useStore.getState();
  const link: Edit = { op: "connect", node: input.node, port: input.port, from: sourceOf(output) };
  const isTaken = document !== null && takenBy(document, input) !== null;
  const edits: Edit[] = [isTaken ? { ...link, replaces: true } : link];
  if (moved !== null && endKey(moved) !== endKey(input)) edits.unshift(removal(moved));
  void edit(`Connect ${shownEnd(output)} to ${shownEnd(input)}`, edits);
  announce(`${shownEnd(output)} is linked to ${shownEnd(input)}.`);
}

export function removeLink(input: PortEnd): void {
  const { edit, announce } = useStore.getState();
  void edit(`Disconnect ${shownEnd(input)}`, [removal(input)]);
  announce(`${shownEnd(input)} is not linked any more.`);
}

const removal = ({ node, port }: PortEnd): Edit => ({ op: "disconnect", node, port });

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
