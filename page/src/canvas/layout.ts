/**
 * Places of the cards. What a person moved stays where it is; the rest is laid out by dagre, from left to right. A card
 * that has a place keeps it for as long as the page is open, so that nothing jumps when a link is added.
 */

import dagre from "@dagrejs/dagre";

import type { Document, Point } from "../api/types";
import { inputNodeId, isParameterType } from "../editing/linkRules";
import { cardSize, INPUT_HEIGHT, INPUT_WIDTH, portsOf, type Size } from "./cardGeometry";

export type Places = Record<string, Point>;
const NO_PORTS = { inputs: [], outputs: [] };
const BETWEEN_RANKS = 52;
const BETWEEN_CARDS = 32;

/** Places of all cards; `known` are those of before. */
export function placesOf(document: Document, known: Places): Places {
  const sizes = sizesOf(document);
  const places: Places = {};
  const moved = movedPlaces(document);
  for (const id of sizes.keys()) {
    const place = moved[id] ?? known[id];
    if (place !== undefined) places[id] = place;
  }
  const missing = [...sizes.keys()].filter((id) => places[id] === undefined);
  if (missing.length === 0) return places;
  const laidOut = automatic(document, sizes);
  const shift = shiftTo(places, laidOut, document);
  for (const id of missing) {
    const place = laidOut[id] ?? { x: 0, y: 0 };
    places[id] = free({ x: place.x + shift.x, y: place.y + shift.y }, id, places, sizes);
  }
  return places;
}

/** Places of the cards that a person has moved. */
export function movedPlaces(document: Document): Places {
  const all = [
    ...document.nodes.map(({ name, position }) => [name, position] as const),
    ...document.inputs.map(({ name, position }) => [inputNodeId(name), position] as const),
  ];
  return Object.fromEntries(all.flatMap(([id, position]) => (position === null ? [] : [[id, position]])));
}

/** Names and sizes of all cards. A pipeline input is a card of its own where it is data. */
export function sizesOf(document: Document): Map<string, Size> {
  const sizes = new Map<string, Size>();
  for (const input of document.inputs) {
    if (!isParameterType(input.type)) sizes.set(inputNodeId(input.name), { width: INPUT_WIDTH, height: INPUT_HEIGHT });
  }
  const ports = portsOf(document);
  for (const node of document.nodes) sizes.set(node.name, cardSize(node, ports.get(node.name) ?? NO_PORTS));
  return sizes;
}

/** From and to of all links, as cards. */
export function linkedCards(document: Document): [string, string][] {
  const cards = new Set(sizesOf(document).keys());
  return document.nodes.flatMap((node) =>
    Object.values(node.inputs).flatMap((binding): [string, string][] => {
      const source =
        binding.kind === "node" ? binding.node : binding.kind === "pipeline" ? inputNodeId(binding.name) : null;
      return source !== null && cards.has(source) && source !== node.name ? [[source, node.name]] : [];
    }),
  );
}

/** A whole layout of the cards of these sizes, by which nothing but links decides. */
export function automatic(document: Document, sizes: Map<string, Size>): Places {
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", ranksep: BETWEEN_RANKS, nodesep: BETWEEN_CARDS, marginx: 0, marginy: 0 });
  graph.setDefaultEdgeLabel(() => ({}));
  for (const [id, size] of sizes) graph.setNode(id, { ...size });
  for (const [from, to] of linkedCards(document)) if (sizes.has(from) && sizes.has(to)) graph.setEdge(from, to);
  dagre.layout(graph);
  const places: Places = {};
  for (const [id, { width, height }] of sizes) {
    const center = graph.node(id) as unknown as Point;
    places[id] = { x: Math.round(center.x - width / 2), y: Math.round(center.y - height / 2) };
  }
  return places;
}

/** How far the layout is moved so that a new card lies beside the cards it is linked to. */
function shiftTo(places: Places, laidOut: Places, document: Document): Point {
  for (const [from, to] of linkedCards(document)) {
    for (const [anchor, other] of [[from, to], [to, from]] as const) {
      const [place, automaticPlace] = [places[anchor], laidOut[anchor]];
      if (place !== undefined && automaticPlace !== undefined && places[other] === undefined) {
        return { x: place.x - automaticPlace.x, y: place.y - automaticPlace.y };
      }
    }
  }
  return { x: 0, y: 0 };
}

/** The place, moved down as far as it takes to cover no other card. */
export function free(place: Point, id: string, places: Places, sizes: Map<string, Size>): Point {
  const size = sizes.get(id) ?? { width: 0, height: 0 };
  let y = place.y;
  for (let again = true; again; ) {
    again = false;
    for (const [other, at] of Object.entries(places)) {
      const its = sizes.get(other);
      if (other === id || its === undefined) continue;
      const isBeside = at.x + its.width <= place.x || place.x + size.width <= at.x;
      const isAboveOrBelow = at.y + its.height <= y || y + size.height <= at.y;
      if (isBeside || isAboveOrBelow) continue;
      y = at.y + its.height + BETWEEN_CARDS;
      again = true;
    }
  }
  return { x: place.x, y };
}
