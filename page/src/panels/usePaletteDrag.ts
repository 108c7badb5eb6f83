/**
 * Dragging out of the palette, by mouse, pen or finger. The drag and drop of HTML knows no fingers, so pointer events
 * are followed. A finger that moves up or down scrolls the list; to the side, it takes the component along.
 */

import { useCallback, useState } from "react";

import type { Point } from "../api/types";
import { canvasElement, placeAt } from "../canvas/flowAccess";
import { useStore } from "../state/store";

const START_PIXELS = 6;

export interface Draggable {
  title: string;
  hue: number;
  /** Where it is let go, on the canvas. */
  drop: (place: Point) => void;
}
export interface Dragged { item: Draggable; at: Point }

export function usePaletteDrag() {
  const [dragged, setDragged] = useState<Dragged | null>(null);
  const onPointerDown = useCallback((down: React.PointerEvent, item: Draggable) => {
    if (down.button !== 0) return;
    const start = { x: down.clientX, y: down.clientY };
    let isDragging = false;
    const onMove = (event: PointerEvent): void => {
      if (event.pointerId !== down.pointerId) return;
      isDragging ||= Math.hypot(event.clientX - start.x, event.clientY - start.y) > START_PIXELS;
      if (!isDragging) return;
      // The panel would cover the canvas where it lies over it.
      if (event.pointerType === "touch") useStore.getState().openSidePanel(null);
      setDragged({ item, at: { x: event.clientX, y: event.clientY } });
    };
    const stop = (): void => {
      window.removeEventListener("pointermove", onMove);
      window.removeEventListener("pointerup", onUp);
      window.removeEventListener("pointercancel", stop);
      window.removeEventListener("keydown", onKeyDown, true);
      setDragged(null);
    };
    const onUp = (event: PointerEvent): void => {
      if (event.pointerId !== down.pointerId) return;
      stop();
      if (!isDragging) return;
      swallowClick();
      const at = { x: event.clientX, y: event.clientY };
      if (isOverCanvas(at)) item.drop(placeAt(at));
    };
    const onKeyDown = (event: KeyboardEvent): void => {
      if (event.key === "Escape") stop();
    };
    window.addEventListener("pointermove", onMove);
    window.addEventListener("pointerup", onUp);
    window.addEventListener("pointercancel", stop);
    window.addEventListener("keydown", onKeyDown, true);
  }, []);
  return { dragged, onPointerDown };
}

function isOverCanvas(at: Point): boolean {
  const under = document.elementFromPoint(at.x, at.y);
  return under !== null && canvasElement()?.contains(under) === true;
}

/** The click that ends a drag is none. */
function swallowClick(): void {
  const swallow = (event: MouseEvent): void => event.stopPropagation();
  window.addEventListener("click", swallow, { capture: true, once: true });
  window.setTimeout(() => window.removeEventListener("click", swallow, true));
}
