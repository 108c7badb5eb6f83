/** What can be added, what of it fits a port, and adding it. */

import { afterDrawing, focusCard, middleOfCanvas, placeAt, placesNow, reveal } from "../canvas/flowAccess";
import { CARD_WIDTH } from "../canvas/cardGeometry";
import { free, sizesOf } from "../canvas/layout";
import type { Component, Edit, Point, Port } from "../api/types";
import { useStore } from "../state/store";
import { asName, freeName } from "../shared/words";
import { applyEdits } from "./applyEdits";
import { inputNodeId, nodeNamed, portAt, portsProblem, sourceOf, takenBy, type PortEnd } from "./linkRules";

/** Something to add, and the port of it that would be linked. */
export interface Choice {
  key: string;
  title: string;
  description: string;
  category: string;
  component: Component | null;
  port: string | null;
}

/** A port of the canvas that something is added for. */
export interface Fitting { port: Port; side: "input" | "output" }

/** The components whose text has all words, best matches first; of those only the ones with a port for each of `fitting`. */
export function choices(components: Component[], text: string, fitting: Fitting[]): Choice[] {
  const words = text.toLowerCase().split(/\s+/).filter((word) => word !== "");
  return components
    .filter((component) => component.fault === null)
    .flatMap((component) => {
      const rank = rankOf(component, words);
      const ports = fitting.map(({ port, side }) => fittingPort(component, port, side));
      const isExact = fitting.every(({ port, side }, at) => holdsTheSame(component, ports[at] ?? null, port, side));
      return rank === null || ports.includes(null) ? [] : [{ rank: rank + (isExact ? 0 : 0.5), component, port: ports[0] ?? null }];
    })
    .sort((a, b) => a.rank - b.rank)
    .map(({ component, port }) => ({
      key: component.reference,
      title: component.display_name,
      description: component.description,
      category: component.category,
      component,
      port,
    }));
}

/** Whether a port of a component is for what the other port holds, and not for anything. */
function holdsTheSame(component: Component, name: string | null, port: Port, side: "input" | "output"): boolean {
  const own = (side === "output" ? component.inputs : component.outputs).find((each) => each.name === name);
  return own?.directory_type === port.directory_type;
}

/** 0 where the title starts with the text, up to 3 where only the description has it; null where nothing has it. */
export function rankOf(component: Component, words: string[]): number | null {
  const title = component.display_name.toLowerCase();
  const all = `${title} ${component.name} ${component.category} ${component.description}`.toLowerCase();
  if (!words.every((word) => all.includes(word))) return null;
  const first = words[0] ?? "";
  if (title.startsWith(first)) return 0;
  if (words.every((word) => title.includes(word) || component.name.includes(word))) return 1;
  return component.category.toLowerCase().includes(first) ? 2 : 3;
}

/** The first port of a component to which a link from (or to) the given port may go. Exact matches come first. */
export function fittingPort(component: Component, port: Port, side: "input" | "output"): string | null {
  const candidates = side === "output" ? component.inputs : component.outputs;
  const fitting = candidates.filter((candidate) =>
    side === "output" ? portsProblem(port, candidate) === null : portsProblem(candidate, port) === null,
  );
  const exact = fitting.find((candidate) => candidate.directory_type === port.directory_type);
  return (exact ?? fitting[0])?.name ?? null;
}

/** Add a component, linked to the ports that are given: to the output and the input of a link, between them. */
export function addComponent(component: Component, place: Point, fitting: PortEnd[] = [], isFocused = true): void {
  const { document, components, edit, select, notify } = useStore.getState();
  if (document === null) return;
  if (document.read_only !== null || component.fault !== null) {
    notify(document.read_only ?? component.fault ?? "");
    return;
  }
  const name = freeName(asName(component.name), document.nodes.map((node) => node.name));
  const added: Edit = { op: "add_node", reference: component.reference, name };
  // Its own size decides, too, whether it covers another card.
  const sizes = sizesOf(applyEdits(document, [added], components));
  const edits: Edit[] = [{ ...added, position: free(place, name, placesNow(), sizes) }];
  for (const end of fitting) {
    const port = portAt(document, end);
    const own = port === null ? null : fittingPort(component, port, end.side);
    if (own !== null) edits.push(linkTo(end, name, own, takenBy(document, end) !== null));
  }
  void edit(`Add ${component.display_name}`, edits);
  select([name]);
  if (isFocused) focusCard(name);
  else afterDrawing(() => reveal(name));
}

function linkTo(end: PortEnd, node: string, port: string, isTaken: boolean): Edit {
  if (end.side === "output") return { op: "connect", node, port, from: sourceOf(end) };
  const link: Edit = { op: "connect", node: end.node, port: end.port, from: { node, port } };
  return isTaken ? { ...link, replaces: true } : link;
}

/** Where data is looked for until somebody says where it is; the fault at the input then asks for it. */
export const newPath = (name: string): string => `./${name}`;

/** A pipeline input for an input port, with the path that the port had. */
export function addInputFor(end: PortEnd): void {
  const { document, edit, select } = useStore.getState();
  const port = document === null ? null : portAt(document, end);
  if (document === null || port === null) return;
  const name = freeName(port.name, document.inputs.map((input) => input.name));
  const binding = nodeNamed(document, end.node)?.inputs[end.port];
  const path = binding?.kind === "data" ? binding.path : newPath(name);
  void edit(`Add input ${name}`, [
    { op: "add_input", name, type: port.type, path, connect: { node: end.node, port: end.port } },
  ]);
  select([inputNodeId(name)]);
}

/** A pipeline input for a folder of data, at a place of the canvas, or where the layout puts it. */
export function addDataFolder(path: string, place: Point | null): void {
  const { document, edit, select, notify } = useStore.getState();
  if (document === null) return;
  if (document.read_only !== null) return notify(document.read_only);
  const name = freeName(asName(path.split("/").at(-1) ?? "") || "data", document.inputs.map((input) => input.name));
  const edits: Edit[] = [{ op: "add_input", name, type: "uri_folder", path }];
  if (place !== null) edits.push({ op: "move_nodes", positions: { [inputNodeId(name)]: place } });
  void edit(`Add ${path}`, edits);
  select([inputNodeId(name)]);
}

/** An output of the pipeline, of an output port. */
export function addOutputFor(end: PortEnd): void {
  const { document, edit } = useStore.getState();
  if (document === null) return;
  const name = freeName(end.port, document.outputs.map((output) => output.name));
  void edit(`Add output ${name}`, [{ op: "add_output", name, source: { node: end.node, port: end.port } }]);
}

/** Where something goes that is added without saying where: the middle of what is seen. */
export function middlePlace(): Point {
  const middle = placeAt(middleOfCanvas());
  return { x: middle.x - CARD_WIDTH / 2, y: middle.y - 60 };
}
