/** A picture of the pipeline for documents: an SVG that is written from the places of the cards, not taken of the screen. */

import type { Document, Node, Point } from "../api/types";
import { inputNodeId, isParameterType } from "../editing/linkRules";
import { hueOf } from "../shared/colors";
import type { State } from "../state/store";
import { CARD_WIDTH, HEADER_HEIGHT, INPUT_HEIGHT, INPUT_WIDTH, parameterSummary, portPlaces, portsOf, type Ports } from "./cardGeometry";
import { placesNow } from "./flowAccess";
import { sizesOf, type Places } from "./layout";

const MARGIN = 24;
const COLORS = ["#1f5fd6", "#1f8a70", "#b4570b", "#8a3ffc", "#c2185b", "#5a7d0f", "#0e7490", "#8d6748"];
const SUMMARY_LETTERS = 34;
const NAME_LETTERS = 24; // of the broad ones in bold

export function downloadPicture(state: State): void {
  if (state.document === null) return;
  const address = URL.createObjectURL(new Blob([pictureOf(state.document, placesNow())], { type: "image/svg+xml" }));
  const link = document.createElement("a");
  link.href = address;
  link.download = `${(state.path ?? "pipeline").replace(/^.*\//, "").replace(/\.ya?ml$/, "")}.svg`;
  link.click();
  URL.revokeObjectURL(address);
}

/** The SVG of a document whose cards lie at these places. */
export function pictureOf(document: Document, places: Places): string {
  const sizes = sizesOf(document);
  const boxes = [...sizes].flatMap(([id, size]) => (places[id] === undefined ? [] : [{ ...places[id], ...size }]));
  const left = Math.min(0, ...boxes.map(({ x }) => x)) - MARGIN;
  const top = Math.min(0, ...boxes.map(({ y }) => y)) - MARGIN;
  const width = Math.max(...boxes.map((box) => box.x + box.width), 0) + MARGIN - left;
  const height = Math.max(...boxes.map((box) => box.y + box.height), 0) + MARGIN - top;
  const ports = portsOf(document);
  const body = [
    ...document.nodes.flatMap((node) => links(node, places, ports)),
    ...document.inputs
      .filter(({ type }) => !isParameterType(type))
      .map(({ name, path, type }) => inputCard(name, path ?? type, places[inputNodeId(name)])),
    ...document.nodes.map((node) =>
      card(node, ports.get(node.name) ?? { inputs: [], outputs: [] }, places[node.name], sizes.get(node.name)?.height ?? 0),
    ),
  ];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="${left} ${top} ${width} ${height}" width="${width}" height="${height}" font-family="system-ui, 'Segoe UI', Roboto, sans-serif" font-size="13" role="img"><title>${escaped(document.name || document.path)}</title><rect x="${left}" y="${top}" width="${width}" height="${height}" fill="#ffffff"/>${body.join("")}</svg>\n`;
}

function links(node: Node, places: Places, ports: Map<string, Ports>): string[] {
  return Object.entries(node.inputs).flatMap(([port, binding]) => {
    const end = portAt(node.name, port, "input", places, ports);
    const input = binding.kind === "pipeline" ? places[inputNodeId(binding.name)] : undefined;
    const start =
      binding.kind === "node"
        ? portAt(binding.node, binding.port, "output", places, ports)
        : input === undefined
          ? null
          : { x: input.x + INPUT_WIDTH, y: input.y + INPUT_HEIGHT / 2 };
    if (start === null || end === null) return [];
    const bend = Math.max(40, Math.abs(end.x - start.x) / 2);
    return [
      `<path d="M${start.x} ${start.y}C${start.x + bend} ${start.y} ${end.x - bend} ${end.y} ${end.x} ${end.y}" fill="none" stroke="#7f8b9c" stroke-width="1.6"/>`,
    ];
  });
}

function portAt(node: string, port: string, side: string, places: Places, ports: Map<string, Ports>): Point | null {
  const [place, own] = [places[node], ports.get(node)];
  const found = own && portPlaces(own).find((each) => each.name === port && each.side === side);
  return place === undefined || found === undefined ? null : { x: place.x + found.x, y: place.y + found.y };
}

function card(node: Node, ports: Ports, place: Point | undefined, height: number): string {
  if (place === undefined) return "";
  const color = COLORS[hueOf(node.component?.category ?? "")] ?? "#1f5fd6";
  const summary = cut(parameterSummary(node, ports), SUMMARY_LETTERS);
  const rows = portPlaces(ports);
  const shown = height - 26;
  return (
    `<g transform="translate(${place.x} ${place.y})"><rect width="${CARD_WIDTH}" height="${shown}" rx="9" fill="#ffffff" stroke="#c9d0db"${node.left_out === "" ? "" : ` stroke-dasharray="5 4"`}/>` +
    `<rect x="10" y="11" width="4" height="${HEADER_HEIGHT - 20}" rx="2" fill="${color}"/>` +
    `<text x="22" y="22" font-weight="650" fill="#18202c">${escaped(cut(node.name, NAME_LETTERS))}</text>` +
    `<text x="22" y="38" font-size="12" fill="#556072">${escaped(cut(node.component?.display_name ?? node.reference, SUMMARY_LETTERS))}</text>` +
    rows
      .map(({ name, side, x, y }) => {
        const text = side === "input" ? `x="14"` : `x="${CARD_WIDTH - 14}" text-anchor="end"`;
        return `<circle cx="${x}" cy="${y}" r="4.5" fill="#ffffff" stroke="#7f8b9c" stroke-width="1.6"/><text ${text} y="${y + 4.5}" font-size="12" fill="#18202c">${escaped(name)}</text>`;
      })
      .join("") +
    (summary === "" ? "" : `<text x="14" y="${shown - 10}" font-size="11" fill="#556072">${escaped(summary)}</text>`) +
    `</g>`
  );
}

function inputCard(name: string, detail: string, place: Point | undefined): string {
  if (place === undefined) return "";
  return (
    `<g transform="translate(${place.x} ${place.y})"><rect width="${INPUT_WIDTH}" height="${INPUT_HEIGHT}" rx="${INPUT_HEIGHT / 2}" fill="#eef1f5" stroke="#c9d0db"/>` +
    `<text x="18" y="20" font-weight="650" fill="#18202c">${escaped(cut(name, 19))}</text>` +
    `<text x="18" y="36" font-size="11" fill="#556072">${escaped(cut(detail, 22))}</text></g>`
  );
}

function cut(text: string, letters: number): string {
  return text.length <= letters ? text : `${text.slice(0, letters - 1)}…`;
}

function escaped(text: string): string {
  const signs: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return text.replace(/[&<>"']/g, (sign) => signs[sign] ?? sign);
}
