/** The document as cards and links of React Flow. What has not changed stays the same object and is not drawn again. */

import { Position, type Edge, type Node as FlowNode, type NodeHandle } from "@xyflow/react";

import type { Document, Node, PipelineInput } from "../api/types";
import { inputName, inputNodeId, isParameterType, type PortEnd } from "../editing/linkRules";
import { hueOf } from "../shared/colors";
import {
  CARD_WIDTH,
  cardSize,
  HANDLE_SIZE,
  INPUT_HEIGHT,
  INPUT_WIDTH,
  portPlaces,
  portsOf,
  type PortPlace,
  type Ports,
} from "./cardGeometry";
import type { Places } from "./layout";

export type ComponentCard = FlowNode<{ node: Node; ports: Ports }, "component">;
export type InputCard = FlowNode<{ input: PipelineInput }, "data">;
export type CardNode = ComponentCard | InputCard;
export type Link = Edge<{ hue: number }>;

/** All cards; `before` are those that were drawn last, whose unchanged ones are kept. */
export function cardsOf(document: Document, places: Places, selected: Set<string>, before: CardNode[]): CardNode[] {
  const drawn = new Map(before.map((card) => [card.id, card]));
  const ports = portsOf(document);
  const cards: CardNode[] = [];
  for (const input of document.inputs) {
    if (isParameterType(input.type)) continue;
    const id = inputNodeId(input.name);
    cards.push(kept(inputCard(id, input), drawn.get(id), places, selected));
  }
  for (const node of document.nodes) {
    const card = componentCard(node, ports.get(node.name) ?? { inputs: [], outputs: [] });
    cards.push(kept(card, drawn.get(node.name), places, selected));
  }
  return cards;
}

function inputCard(id: string, input: PipelineInput): InputCard {
  return {
    id,
    type: "data",
    position: { x: 0, y: 0 },
    data: { input },
    initialWidth: INPUT_WIDTH,
    initialHeight: INPUT_HEIGHT,
    handles: [handle({ name: input.name, side: "output", x: INPUT_WIDTH, y: INPUT_HEIGHT / 2 })],
    ariaLabel: `Pipeline input ${input.name}, ${input.type}`,
  };
}

function componentCard(node: Node, ports: Ports): ComponentCard {
  return {
    id: node.name,
    type: "component",
    position: { x: 0, y: 0 },
    data: { node, ports },
    initialWidth: CARD_WIDTH,
    initialHeight: cardSize(node, ports).height,
    handles: portPlaces(ports).map(handle),
    ariaLabel: [node.name, node.component?.display_name ?? node.kind, node.left_out].filter(Boolean).join(", "),
  };
}

function handle({ name, side, x, y }: PortPlace): NodeHandle {
  return {
    id: name,
    type: side === "input" ? "target" : "source",
    position: side === "input" ? Position.Left : Position.Right,
    x: x - HANDLE_SIZE / 2,
    y: y - HANDLE_SIZE / 2,
    width: HANDLE_SIZE,
    height: HANDLE_SIZE,
  };
}

function kept<Card extends CardNode>(made: Card, before: CardNode | undefined, places: Places, selected: Set<string>): Card {
  const position = before?.dragging === true ? before.position : (places[made.id] ?? made.position);
  const isSelected = selected.has(made.id);
  if (before === undefined) return { ...made, position, selected: isSelected };
  const isSame =
    isSameData(made, before) &&
    before.selected === isSelected &&
    before.position.x === position.x &&
    before.position.y === position.y;
  if (isSame) return before as Card;
  const { measured, dragging } = before;
  return {
    ...made,
    data: isSameData(made, before) ? (before.data as Card["data"]) : made.data,
    position,
    selected: isSelected,
    ...(measured === undefined ? {} : { measured }),
    ...(dragging === undefined ? {} : { dragging }),
  };
}

const isInputCard = (card: CardNode): card is InputCard => card.type === "data";

function isSameData(a: CardNode, b: CardNode): boolean {
  if (isInputCard(a)) return isInputCard(b) && a.data.input === b.data.input;
  if (isInputCard(b)) return false;
  const [one, other] = [a.data.ports, b.data.ports];
  return a.data.node === b.data.node && `${one.inputs}\n${one.outputs}` === `${other.inputs}\n${other.outputs}`;
}

export const linkId = (node: string, port: string): string => `${node}.${port}`;
/** The input that a link ends at. */
export function linkInput(id: string): PortEnd {
  const [node = "", port = ""] = id.split(/\.(.*)/s);
  return { node, port, side: "input" };
}

/** All links; each ends at an input port, of which it has the name. */
export function linksOf(document: Document, selected: Set<string>, before: Link[]): Link[] {
  const drawn = new Map(before.map((link) => [link.id, link]));
  const inputs = new Map(document.inputs.map((input) => [input.name, input]));
  const nodes = new Map(document.nodes.map((node) => [node.name, node]));
  const links: Link[] = [];
  for (const node of document.nodes) {
    for (const [port, binding] of Object.entries(node.inputs)) {
      const source =
        binding.kind === "node" && nodes.has(binding.node)
          ? { source: binding.node, sourceHandle: binding.port }
          : binding.kind === "pipeline" && !isParameterType(inputs.get(binding.name)?.type ?? "string")
            ? { source: inputNodeId(binding.name), sourceHandle: binding.name }
            : null;
      if (source === null) continue;
      // A pipeline input holds what the port expects.
      const output = nodes.get(source.source)?.component?.outputs.find(({ name }) => name === source.sourceHandle);
      const holds = output ?? node.component?.inputs.find(({ name }) => name === port);
      links.push(keptLink(drawn.get(linkId(node.name, port)), {
        id: linkId(node.name, port),
        ...source,
        target: node.name,
        targetHandle: port,
        selected: selected.has(linkId(node.name, port)),
        data: { hue: hueOf(holds?.directory_type ?? holds?.type ?? "uri_folder") },
        ariaLabel: `Link from ${inputName(source.source) ?? `${source.source}.${source.sourceHandle}`} to ${node.name}.${port}`,
      }));
    }
  }
  for (const node of document.nodes) {
    for (const [port, binding] of Object.entries(node.outputs)) {
      if (binding.kind !== "node" || !nodes.has(binding.node)) continue;
      const id = `${node.name} ${port}`;
      links.push(keptLink(drawn.get(id), {
        id,
        source: node.name,
        sourceHandle: port,
        target: binding.node,
        className: "control",
        selectable: false,
        reconnectable: false,
        data: { hue: 0 },
        ariaLabel: `${node.name} leads to ${binding.node} (${port})`,
      }));
    }
  }
  // A card without inputs has no place at which such a link could end.
  const ports = portsOf(document);
  return links.filter(({ target }) => (ports.get(target)?.inputs.length ?? 0) > 0);
}

function keptLink(before: Link | undefined, made: Link): Link {
  const facts = (link: Link): string =>
    [link.source, link.sourceHandle, link.selected === true, link.data?.hue].join("\n");
  return before !== undefined && facts(before) === facts(made) ? before : made;
}
