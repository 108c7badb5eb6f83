/** Commands that put several cards in order: a row, a column, or the layout of what is selected. */

import { placesNow } from "../canvas/flowAccess";
import { automatic, free, sizesOf, type Places } from "../canvas/layout";
import type { Document } from "../api/types";
import { plural } from "../shared/words";
import type { State } from "../state/store";
import type { Command } from "./commands";

const BETWEEN = 32;
const isEnabled = (state: State): boolean => state.document?.read_only === null && state.selected.length > 1;

export const alignmentCommands: Command[] = [
  aligning("align-row", "Align in a row", inARow),
  aligning("align-column", "Align in a column", inAColumn),
  aligning("arrange-selected", "Arrange what is selected", arranged),
];

function aligning(id: string, title: string, placed: (places: Places, document: Document) => Places): Command {
  return {
    id,
    title,
    group: "Edit",
    isForSeveral: true,
    isEnabled,
    perform: (state) => {
      if (state.document === null) return;
      const places = Object.fromEntries(Object.entries(placesNow()).filter(([name]) => state.selected.includes(name)));
      const label = `${title}: ${plural(state.selected.length, "card")}`;
      void state.edit(label, [{ op: "move_nodes", positions: placed(places, state.document) }]);
    },
  };
}

/** The same upper edge, from left to right as they lie; those that would cover each other move apart. */
export function inARow(places: Places, document: Document): Places {
  const top = Math.min(...Object.values(places).map(({ y }) => y));
  let least = -Infinity;
  const placed: Places = {};
  for (const [name, { x }] of Object.entries(places).sort(([, one], [, other]) => one.x - other.x)) {
    placed[name] = { x: Math.max(x, least), y: top };
    least = placed[name].x + (sizesOf(document).get(name)?.width ?? 0) + BETWEEN;
  }
  return placed;
}

/** The same left edge, from top to bottom as they lie, likewise. */
export function inAColumn(places: Places, document: Document): Places {
  const left = Math.min(...Object.values(places).map(({ x }) => x));
  const placed: Places = {};
  for (const [name, { y }] of Object.entries(places).sort(([, one], [, other]) => one.y - other.y)) {
    placed[name] = free({ x: left, y }, name, placed, sizesOf(document));
  }
  return placed;
}

/** As the layout has them, where their upper left corner was. */
export function arranged(places: Places, document: Document): Places {
  const sizes = new Map([...sizesOf(document)].filter(([name]) => places[name] !== undefined));
  const found = automatic(document, sizes);
  const corner = (all: Places, axis: "x" | "y"): number => Math.min(...Object.values(all).map((place) => place[axis]));
  const [dx, dy] = [corner(places, "x") - corner(found, "x"), corner(places, "y") - corner(found, "y")];
  return Object.fromEntries(Object.entries(found).map(([name, { x, y }]) => [name, { x: x + dx, y: y + dy }]));
}
