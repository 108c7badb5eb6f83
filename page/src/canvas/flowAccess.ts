/** The canvas as commands reach it: where its middle is, and how to bring a card into view and focus. */

import type { ReactFlowInstance } from "@xyflow/react";

import type { Point } from "../api/types";
import type { PortEnd } from "../editing/linkRules";
import { useStore } from "../state/store";
import { CARD_WIDTH } from "./cardGeometry";
import type { CardNode, Link } from "./flowNodes";
import { sizesOf } from "./layout";

let flow: ReactFlowInstance<CardNode, Link> | null = null;
const DURATION = 160;
const MARGIN = 36;
const MIN_ZOOM = 0.1;
/** At which the names on cards can still be read. */
export const READABLE_ZOOM = 0.55;

export function setFlow(instance: ReactFlowInstance<CardNode, Link>): void {
  flow = instance;
}

export function canvasElement(): HTMLElement | null {
  return document.querySelector(".react-flow");
}

/** Show all cards, or some. Their sizes are known, so that those out of sight, which are not drawn, count as well. */
export function fitAll(leastZoom = MIN_ZOOM, shown?: string[]): void {
  afterDrawing(() => {
    const { document } = useStore.getState();
    const box = canvasElement()?.getBoundingClientRect();
    if (flow === null || document === null || box === undefined) return;
    const [places, sizes] = [placesNow(), sizesOf(document)];
    const boxes = [...sizes].flatMap(([id, size]) =>
      places[id] === undefined || shown?.includes(id) === false ? [] : [{ ...places[id], ...size }],
    );
    if (boxes.length === 0) return;
    const { x, y } = cornerOf(boxes);
    const width = Math.max(...boxes.map((each) => each.x + each.width)) - x;
    const height = Math.max(...boxes.map((each) => each.y + each.height)) - y;
    const zoom = Math.max(leastZoom, Math.min(1, (box.width - 2 * MARGIN) / width, (box.height - 2 * MARGIN) / height));
    // What does not fit is shown from its beginning.
    const seen = (box.width - 2 * MARGIN) / zoom;
    void flow.setCenter(x + Math.min(width, seen) / 2, y + height / 2, { zoom, duration: DURATION });
  });
}

function cornerOf(places: Point[]): Point {
  return { x: Math.min(...places.map(({ x }) => x)), y: Math.min(...places.map(({ y }) => y)) };
}

export function zoomBy(direction: 1 | -1): void {
  void (direction === 1 ? flow?.zoomIn({ duration: DURATION }) : flow?.zoomOut({ duration: DURATION }));
}

/** Keep in the middle what is there, as the height of the canvas changes: a drawer would cover it. */
export function followHeight(element: HTMLElement): () => void {
  let height = element.clientHeight;
  const observer = new ResizeObserver(() => {
    const shift = (element.clientHeight - height) / 2;
    height = element.clientHeight;
    if (flow === null || shift === 0) return;
    const { x, y, zoom } = flow.getViewport();
    void flow.setViewport({ x, y: y + shift, zoom });
    const [first] = useStore.getState().selected;
    if (first !== undefined) reveal(first);
  });
  observer.observe(element);
  return () => observer.disconnect();
}

/** From pixels of the window to the canvas. */
export function placeAt(at: Point): Point {
  const place = flow?.screenToFlowPosition(at, { snapToGrid: false }) ?? { x: 0, y: 0 };
  return { x: Math.round(place.x), y: Math.round(place.y) };
}

/** The middle of the part of the canvas that is seen, in pixels of the window. */
export function middleOfCanvas(): Point {
  const box = canvasElement()?.getBoundingClientRect();
  return box === undefined ? { x: 0, y: 0 } : { x: box.x + box.width / 2, y: box.y + box.height / 2 };
}

export function placesNow(): Record<string, Point> {
  return Object.fromEntries((flow?.getNodes() ?? []).map(({ id, position }) => [id, position]));
}

/** Bring a card into view, if it is not, and put the focus on it. */
export function focusCard(id: string): void {
  afterDrawing(() => {
    reveal(id);
    afterDrawing(() => cardElement(id)?.focus({ preventScroll: true }));
  });
}

/** The card that the keyboard is at: the one with the focus, or else the first that is selected. */
export function currentCard(): string | undefined {
  const focused = document.activeElement?.closest<HTMLElement>(".react-flow__node")?.dataset.id;
  return focused ?? useStore.getState().selected[0];
}

/** Put the focus back on the card that is selected, or on the canvas. */
export function focusCanvas(): void {
  const [first] = useStore.getState().selected;
  if (first === undefined) canvasElement()?.focus();
  else focusCard(first);
}

export function focusPort({ node, port, side }: PortEnd): void {
  reveal(node);
  const kind = side === "input" ? "target" : "source";
  afterDrawing(() =>
    cardElement(node)
      ?.querySelector<HTMLElement>(`.react-flow__handle.${kind}[data-handleid="${CSS.escape(port)}"]`)
      ?.focus({ preventScroll: true }),
  );
}

function cardElement(id: string): HTMLElement | null {
  return document.querySelector(`.react-flow__node[data-id="${CSS.escape(id)}"]`);
}

/** Move the canvas so that a card that is out of sight is seen. */
export function reveal(id: string): void {
  const node = flow?.getNode(id);
  const box = canvasElement()?.getBoundingClientRect();
  if (flow === null || node === undefined || box === undefined) return;
  const { width = CARD_WIDTH, height = 150 } = node.measured ?? {};
  const start = flow.flowToScreenPosition(node.position);
  const end = flow.flowToScreenPosition({ x: node.position.x + width, y: node.position.y + height });
  const isSeen = start.x >= box.left && start.y >= box.top && end.x <= box.right && end.y <= box.bottom;
  if (isSeen) return;
  const { x, y, zoom } = flow.getViewport();
  const shift = (low: number, high: number, from: number, to: number): number =>
    from < low + MARGIN ? low + MARGIN - from : to > high - MARGIN ? high - MARGIN - to : 0;
  void flow.setViewport({
    x: x + shift(box.left, box.right, start.x, end.x),
    y: y + shift(box.top, box.bottom, start.y, end.y),
    zoom,
  });
}

export function afterDrawing(perform: () => void): void {
  requestAnimationFrame(() => requestAnimationFrame(perform));
}
