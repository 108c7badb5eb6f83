/** Cards and links as the canvas draws them: the document, and what is just being dragged. */

import { applyNodeChanges, type EdgeChange, type NodeChange } from "@xyflow/react";
import { useCallback, useLayoutEffect, useRef, useState } from "react";

import type { Document, Point } from "../api/types";
import { inputName } from "../editing/linkRules";
import { useStore } from "../state/store";
import { listed } from "../shared/words";
import { cardsOf, linksOf, type CardNode, type Link } from "./flowNodes";
import { movedPlaces, placesOf, type Places } from "./layout";

const PAUSE_AFTER_ARROWS = 400;
/** Places that the layout gave to cards, the document that they were made for, and what they are places of. */
interface Known { of: string; places: Places; document: Document | null }
const NOTHING: Known = { of: "", places: {}, document: null };

export function useCards() {
  const document = useStore((state) => state.document);
  const opening = useStore((state) => state.opening);
  const arrangement = useStore((state) => state.arrangement);
  const selected = useStore((state) => state.selected);
  const selectedLinks = useStore((state) => state.selectedLinks);
  const [cards, setCards] = useState<CardNode[]>([]);
  const [links, setLinks] = useState<Link[]>([]);
  const past = useStore((state) => (state.past === null ? null : (state.run?.run ?? "")));
  const known = useRef<Known>(NOTHING);
  const present = useRef<Known>(NOTHING);
  const arrows = useRef<{ moved: Places; timer: number | undefined }>({ moved: {}, timer: undefined });

  useLayoutEffect(() => {
    if (document === null) return;
    const key = [opening, arrangement, past].join("\n");
    if (known.current.of !== key) {
      // The way back from an earlier run leads to the cards as they lay before it.
      known.current = present.current.of === key ? present.current : { of: key, places: {}, document: null };
    }
    if (past === null) present.current = known.current;
    const renamed = renamedCard(known.current.document, document);
    const { places } = known.current;
    const before = renamed === null ? undefined : places[renamed.from];
    if (renamed !== null && before !== undefined) places[renamed.to] = before;
    const placed = placesOf(document, places);
    // A card whose move is undone goes back to where it lay.
    const moved = movedPlaces(document);
    for (const [id, place] of Object.entries(placed)) if (moved[id] === undefined) places[id] = place;
    known.current.document = document;
    const shown = { ...placed, ...arrows.current.moved };
    setCards((drawn) => cardsOf(document, shown, new Set(selected), drawn));
    setLinks((drawn) => linksOf(document, new Set(selectedLinks), drawn));
  }, [document, opening, arrangement, past, selected, selectedLinks]);

  const commit = useCallback((moved: Record<string, Point>) => {
    const names = Object.keys(moved).map((id) => inputName(id) ?? id);
    if (names.length > 0) void useStore.getState().edit(`Move ${listed(names)}`, [{ op: "move_nodes", positions: moved }]);
  }, []);

  const isDragged = useRef(false);
  const onNodesChange = useCallback(
    (changes: NodeChange<CardNode>[]) => {
      setCards((drawn) => applyNodeChanges(changes.filter(({ type }) => type !== "select"), drawn));
      const chosen = afterSelecting(useStore.getState().selected, changes);
      if (chosen !== null) useStore.getState().select(chosen);
      // Arrow keys: a series of them is one gesture.
      const steps = changes.flatMap((change) =>
        change.type === "position" && change.dragging === false && change.position !== undefined && !isDragged.current
          ? [[change.id, round(change.position)] as const]
          : [],
      );
      if (steps.length === 0) return;
      const { current } = arrows;
      for (const [id, place] of steps) current.moved[id] = place;
      window.clearTimeout(current.timer);
      current.timer = window.setTimeout(() => {
        arrows.current = { moved: {}, timer: undefined };
        commit(current.moved);
      }, PAUSE_AFTER_ARROWS);
    },
    [commit],
  );
  const onEdgesChange = useCallback((changes: EdgeChange<Link>[]) => {
    const chosen = afterSelecting(useStore.getState().selectedLinks, changes);
    if (chosen !== null) useStore.getState().selectLinks(chosen);
  }, []);
  const onDragStart = useCallback(() => {
    isDragged.current = true;
  }, []);
  const onDragStop = useCallback(
    (dragged: CardNode[]) => {
      isDragged.current = false;
      commit(Object.fromEntries(dragged.map(({ id, position }) => [id, round(position)])));
    },
    [commit],
  );
  return { cards, links, onNodesChange, onEdgesChange, onDragStart, onDragStop };
}

/** What is selected after React Flow's changes, or null where they are about something else. */
export function afterSelecting(before: string[], changes: { type: string; id?: string; selected?: boolean }[]): string[] | null {
  const choices = changes.filter(({ type }) => type === "select");
  if (choices.length === 0) return null;
  const after = new Set(before);
  for (const { id = "", selected } of choices) {
    if (selected === true) after.add(id);
    else after.delete(id);
  }
  return [...after];
}

/** The card that got another name between two documents, if that is all that happened to its name. */
function renamedCard(before: Document | null, after: Document): { from: string; to: string } | null {
  if (before === null) return null;
  const [old, now] = [before, after].map((document) => new Map(document.nodes.map((node) => [node.name, node.reference])));
  const gone = [...(old ?? [])].filter(([name]) => now?.has(name) === false);
  const come = [...(now ?? [])].filter(([name]) => old?.has(name) === false);
  const [from, to] = [gone[0], come[0]];
  if (gone.length !== 1 || come.length !== 1 || from === undefined || to === undefined || from[1] !== to[1]) return null;
  return { from: from[0], to: to[0] };
}

const round = ({ x, y }: Point): Point => ({ x: Math.round(x), y: Math.round(y) });
