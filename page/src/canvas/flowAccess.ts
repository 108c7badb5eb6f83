/** The canvas as commands reach it: where its middle is, and how to bring a card into view and focus. */

import type { ReactFlowInstance } from "@xyflow/react";

import type { Point } from "../api/types";
import type { PortEnd } from "../editing/linkRules";
import type { CardNode, Link } from "./flowNodes";

let flow: ReactFlowInstance<CardNode, Link> | null = null;
const DURATION = 160;
const PADDING = 0.12;

export function setFlow(instance: ReactFlowInstance<CardNode, Link>): void {
  flow = instance;
}

export function canvasElement(): HTMLElement | null {
  return document.querySelector(".react-flow");
}

export function fitAll(): void {
  void flow?.fitView({ padding: PADDING, maxZoom: 1, duration: DURATION });
}

export function zoomBy(direction: 1 | -1): void {
  void (direction === 1 ? flow?.zoomIn({ duration: DURATION }) : flow?.zoomOut({ duration: DURATION }));
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

function reveal(id: string): void {
  const node = flow?.getNode(id);
  const box = canvasElement()?.getBoundingClientRect();
  if (flow === null || node === undefined || box === undefined) return;
  const { width = 250, height = 150 } = node.measured ?? {};
  const start = flow.flowToScreenPosition(node.position);
  const end = flow.flowToScreenPosition({ x: node.position.x + width, y: node.position.y + height });
  const isSeen = start.x >= box.left && start.y >= box.top && end.x <= box.right && end.y <= box.bottom;
  if (isSeen) return;
  void flow.setCenter(node.position.x + width / 2, node.position.y + height / 2, { zoom: flow.getZoom() });
}

function afterDrawing(perform: () => void): void {
  requestAnimationFrame(() => requestAnimationFrame(perform));
}
