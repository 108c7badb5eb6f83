/** Which ports may be linked; the same rules as the linter's, so that a link that is wrong is never made. */

import type { Binding, Document, Node, NodePort, Port, Source } from "../api/types";

/** An end of a link on the canvas. The output of a pipeline input is named like it, of the node `input:NAME`. */
export interface PortEnd { node: string; port: string; side: "input" | "output" }

const PARAMETER_TYPES = new Set(["integer", "number", "string", "boolean"]);
const FILE_TYPES = new Set(["uri_file"]);
const FOLDER_TYPES = new Set(["uri_folder", "mltable", "mlflow_model", "triton_model"]);
const INPUT_PREFIX = "input:";

export const inputNodeId = (name: string): string => `${INPUT_PREFIX}${name}`;
export const inputName = (id: string): string | null =>
  id.startsWith(INPUT_PREFIX) ? id.slice(INPUT_PREFIX.length) : null;
export const endKey = (end: PortEnd): string => `${end.side}\n${end.node}\n${end.port}`;
export const nodeNamed = (document: Document, name: string): Node | undefined =>
  document.nodes.find((node) => node.name === name);

/** The start of a link as edits name it. */
export function sourceOf(end: NodePort): Source {
  const input = inputName(end.node);
  return input === null ? { node: end.node, port: end.port } : { input };
}

/** The start of the link that a binding is, or null. */
export function boundTo(binding: Binding | undefined): PortEnd | null {
  if (binding?.kind === "node") return { node: binding.node, port: binding.port, side: "output" };
  return binding?.kind === "pipeline" ? { node: inputNodeId(binding.name), port: binding.name, side: "output" } : null;
}

/** The port at an end, as far as the document knows its component. */
export function portAt(document: Document, end: PortEnd): Port | null {
  const input = inputName(end.node);
  if (input !== null) {
    const found = document.inputs.find(({ name }) => name === input);
    return found === undefined ? null : { ...found, directory_type: null };
  }
  const component = nodeNamed(document, end.node)?.component;
  const ports = end.side === "input" ? component?.inputs : component?.outputs;
  return ports?.find(({ name }) => name === end.port) ?? null;
}

/** Whether what has the type `given` is right for a port of the type `wanted`; an unknown type always is. */
export function typesFit(given: string, wanted: string): boolean {
  if (given === "" || wanted === "" || given === wanted || wanted === "string") return true;
  if (given === "integer" && wanted === "number") return true;
  if (PARAMETER_TYPES.has(given) || PARAMETER_TYPES.has(wanted)) return false;
  return !((FILE_TYPES.has(given) && FOLDER_TYPES.has(wanted)) || (FOLDER_TYPES.has(given) && FILE_TYPES.has(wanted)));
}

/** Whether a folder that holds `given` is right where `wanted` is expected; a trained model may be trained further. */
export function directoriesFit(given: string | null, wanted: string | null): boolean {
  if (given === null || wanted === null || given === wanted) return true;
  return given.startsWith("Any") || wanted.startsWith("Any") || wanted === `Untrained${given}`;
}

/** Why two ports do not fit each other, or null. */
export function portsProblem(given: Port | null, wanted: Port | null): string | null {
  if (given === null || wanted === null) return null;
  if (!typesFit(given.type, wanted.type)) return `${given.name} is ${given.type}, ${wanted.name} expects ${wanted.type}.`;
  if (!directoriesFit(given.directory_type, wanted.directory_type)) {
    return `${given.name} holds ${given.directory_type}, ${wanted.name} expects ${wanted.directory_type}.`;
  }
  return null;
}

/** Names of all nodes that a node needs ("before") or that need it ("after"), with itself. */
export function connectedNodes(document: Document, name: string, direction: "before" | "after"): Set<string> {
  const next = new Map<string, string[]>();
  for (const node of document.nodes) {
    for (const source of sourcesOf(node)) {
      const [from, to] = direction === "before" ? [node.name, source] : [source, node.name];
      next.set(from, [...(next.get(from) ?? []), to]);
    }
  }
  const found = new Set<string>();
  const follow = [name];
  for (let node = follow.pop(); node !== undefined; node = follow.pop()) {
    if (found.has(node)) continue;
    found.add(node);
    follow.push(...(next.get(node) ?? []));
  }
  return found;
}

function sourcesOf(node: Node): string[] {
  return Object.values(node.inputs).flatMap((binding) => (binding.kind === "node" ? [binding.node] : []));
}

/** Why a link from an output to an input is impossible, or null. A port that is taken is another matter. */
export function linkProblem(document: Document, output: PortEnd, input: PortEnd): string | null {
  return problemBetween(document, output, input, connectedNodes(document, output.node, "before").has(input.node));
}

function problemBetween(document: Document, output: PortEnd, input: PortEnd, isCircle: boolean): string | null {
  if (output.node === input.node) return "A node cannot wait for itself.";
  if (isCircle) return `${output.node} waits for ${input.node}: this would be a circle.`;
  return portsProblem(portAt(document, output), portAt(document, input));
}

/** What a port is bound to, in words, or null where it is free. */
export function takenBy(document: Document, input: PortEnd): string | null {
  const binding = nodeNamed(document, input.node)?.inputs[input.port];
  if (binding === undefined) return null;
  if (binding.kind === "node") return `${binding.node}.${binding.port}`;
  if (binding.kind === "pipeline") return `the pipeline input ${binding.name}`;
  return binding.kind === "data" ? binding.path : binding.kind === "value" ? String(binding.value) : binding.text;
}

/** What a link to an input would replace, in words, or null; the link that is moved is not replaced. */
export function replacedBy(document: Document, input: PortEnd, moved: PortEnd | null): string | null {
  return moved !== null && endKey(moved) === endKey(input) ? null : takenBy(document, input);
}

/** Both ends in the order of the data, or null where both are of one side. */
export function ordered(a: PortEnd, b: PortEnd): { output: PortEnd; input: PortEnd } | null {
  if (a.side === b.side) return null;
  return a.side === "output" ? { output: a, input: b } : { output: b, input: a };
}

/** For each port of the canvas why it does not fit the one at which a link starts; null where it does. */
export function problemsFrom(document: Document, from: PortEnd): Record<string, string | null> {
  const problems: Record<string, string | null> = {};
  const closing = connectedNodes(document, from.node, from.side === "output" ? "before" : "after");
  for (const end of allEnds(document)) {
    const pair = ordered(from, end);
    problems[endKey(end)] =
      pair === null
        ? "A link goes from an output to an input."
        : problemBetween(document, pair.output, pair.input, closing.has(end.node));
  }
  return problems;
}

/** Every port that is on the canvas. */
export function allEnds(document: Document): PortEnd[] {
  const ends: PortEnd[] = document.inputs
    .filter((input) => !PARAMETER_TYPES.has(input.type))
    .map(({ name }) => ({ node: inputNodeId(name), port: name, side: "output" }));
  for (const { name: node, component } of document.nodes) {
    for (const { name } of component?.inputs ?? []) ends.push({ node, port: name, side: "input" });
    for (const { name } of component?.outputs ?? []) ends.push({ node, port: name, side: "output" });
  }
  return ends;
}

export const isParameterType = (type: string): boolean => PARAMETER_TYPES.has(type);
