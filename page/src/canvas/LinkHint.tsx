/** Beside the pointer while a link is dragged: why the port below it does not fit, or what it would replace. */

import { useConnection } from "@xyflow/react";
import { useEffect, useState } from "react";

import type { Point } from "../api/types";
import { endKey, ordered, replacedBy, type PortEnd } from "../editing/linkRules";
import { useStore, type State } from "../state/store";

const HINT_WIDTH = 336;

export function LinkHint() {
  const isDragged = useStore((state) => state.linking?.isDragged === true);
  return isDragged ? <Hint /> : <ClickHint />;
}

function Hint() {
  const pointer = usePointer();
  const handle = useConnection((connection) => connection.toHandle);
  const end: PortEnd | null =
    handle?.id == null
      ? null
      : { node: handle.nodeId, port: handle.id, side: handle.type === "source" ? "output" : "input" };
  const text = useStore((state) => hintAt(state, end));
  if (text === null || pointer === null) return null;
  return (
    <div className={`link-hint ${text.isRefused ? "refused" : ""}`} style={{ left: Math.min(pointer.x + 16, Math.max(8, window.innerWidth - HINT_WIDTH)), top: pointer.y + 16 }}>
      {text.words}
    </div>
  );
}

/** A link that was started by a click or by Enter: what to do next, at the foot of the canvas. */
function ClickHint() {
  const from = useStore((state) => state.linking?.from ?? null);
  if (from === null) return null;
  return (
    <div className="link-hint at-foot">
      Link from <strong>{from.port}</strong>: choose a port that fits (arrow keys, then Enter). Escape stops.
    </div>
  );
}

const hints = new Map<string, { words: string; isRefused: boolean }>();

function hintAt(state: State, end: PortEnd | null): { words: string; isRefused: boolean } | null {
  const { linking, document } = state;
  if (linking === null || document === null || end === null || endKey(end) === endKey(linking.from)) return null;
  const problem = linking.problems[endKey(end)];
  if (problem != null) return sameObject(problem, true);
  const pair = ordered(linking.from, end);
  const taken = pair === null ? null : replacedBy(document, pair.input, linking.moved);
  return sameObject(taken === null ? `Connect to ${end.port}` : `Replace the link from ${taken}`, false);
}

/** The store compares by identity, so the same words have to be the same object. */
function sameObject(words: string, isRefused: boolean): { words: string; isRefused: boolean } {
  const known = hints.get(words) ?? { words, isRefused };
  hints.set(words, known);
  return known;
}

function usePointer(): Point | null {
  const [pointer, setPointer] = useState<Point | null>(null);
  useEffect(() => {
    const onMove = (event: PointerEvent | TouchEvent): void => {
      const point = "touches" in event ? event.touches[0] : event;
      if (point !== undefined) setPointer({ x: point.clientX, y: point.clientY });
    };
    window.addEventListener("pointermove", onMove, true);
    window.addEventListener("touchmove", onMove, true);
    return () => {
      window.removeEventListener("pointermove", onMove, true);
      window.removeEventListener("touchmove", onMove, true);
    };
  }, []);
  return pointer;
}
