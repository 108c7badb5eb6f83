/** Sizes of the cards, known without drawing them: the layout, links to cards out of sight, and the SVG need them. */

import type { Binding, Document, Node } from "../api/types";
import { isParameterType } from "../editing/linkRules";

export const CARD_WIDTH = 226;
export const INPUT_WIDTH = 160;
export const INPUT_HEIGHT = 46;
export const HEADER_HEIGHT = 48;
export const ROW_HEIGHT = 24;
const PORTS_PADDING = 6;
const SUMMARY_HEIGHT = 26;
const STRIP_HEIGHT = 26;
export const HANDLE_SIZE = 12;

export interface Size { width: number; height: number }
export interface PortPlace { name: string; side: "input" | "output"; x: number; y: number }

export interface Ports { inputs: string[]; outputs: string[] }

/** Ports of each node that are shown: those of its component, and those that are bound without being declared. */
export function portsOf(document: Document): Map<string, Ports> {
  const used = new Map<string, Set<string>>(document.nodes.map(({ name }) => [name, new Set()]));
  for (const node of document.nodes) {
    for (const binding of Object.values(node.inputs)) {
      if (binding.kind === "node") used.get(binding.node)?.add(binding.port);
    }
  }
  const data = new Set(document.inputs.flatMap(({ name, type }) => (isParameterType(type) ? [] : [name])));
  return new Map(document.nodes.map((node) => [node.name, portsOfNode(node, used.get(node.name) ?? new Set(), data)]));
}

function portsOfNode(node: Node, used: Set<string>, data: Set<string>): Ports {
  const parameters = new Set(node.component?.parameters.map(({ name }) => name));
  const isData = (binding: Binding): boolean =>
    binding.kind === "node" || binding.kind === "data" || (binding.kind === "pipeline" && data.has(binding.name));
  const linked = Object.entries(node.inputs).filter(([, binding]) => isData(binding));
  const bound = linked.map(([name]) => name).filter((name) => !parameters.has(name));
  const inputs = new Set([...(node.component?.inputs.map(({ name }) => name) ?? []), ...bound]);
  // What a condition or a loop leads to.
  const led = Object.entries(node.outputs).flatMap(([name, { kind }]) => (kind === "node" ? [name] : []));
  const outputs = new Set([...(node.component?.outputs.map(({ name }) => name) ?? []), ...used, ...led]);
  return { inputs: [...inputs], outputs: [...outputs] };
}

/** The parameters that are set, in the order of the component: "epochs 3 · batch_size 4". Ports are none. */
export function parameterSummary(node: Node, ports: Ports): string {
  const names = node.component?.parameters.map(({ name }) => name) ?? Object.keys(node.inputs);
  return names
    .filter((name) => !ports.inputs.includes(name))
    .flatMap((name) => {
      const binding = node.inputs[name];
      if (binding?.kind === "value") return [`${name} ${binding.value}`];
      return binding?.kind === "pipeline" ? [`${name} ← ${binding.name}`] : [];
    })
    .join(" · ");
}

/** Width and height of a card, with room for its state. */
export function cardSize(node: Node, ports: Ports): Size {
  const rows = ports.inputs.length + ports.outputs.length;
  const summary = parameterSummary(node, ports) !== "" ? SUMMARY_HEIGHT : 0;
  return {
    width: CARD_WIDTH,
    height: HEADER_HEIGHT + 2 * PORTS_PADDING + rows * ROW_HEIGHT + summary + STRIP_HEIGHT,
  };
}

/** Centers of the handles of a card, relative to its upper left corner: inputs first, then outputs. */
export function portPlaces(ports: Ports): PortPlace[] {
  const y = (row: number): number => HEADER_HEIGHT + PORTS_PADDING + (row + 0.5) * ROW_HEIGHT;
  return [
    ...ports.inputs.map((name, row): PortPlace => ({ name, side: "input", x: 0, y: y(row) })),
    ...ports.outputs.map(
      (name, row): PortPlace => ({ name, side: "output", x: CARD_WIDTH, y: y(ports.inputs.length + row) }),
    ),
  ];
}
