/** What edits make of a document, before the server has said so. What only the server knows is left as it is. */

import { DISABLED } from "../api/types";
import type { Binding, Component, Document, Edit, Literal, Node, NodeSettings, Point, Source } from "../api/types";
import { inputNodeId } from "./linkRules";

export function applyEdits(document: Document, edits: Edit[], components: Record<string, Component>): Document {
  return edits.reduce((shown, edit) => applyEdit(shown, edit, components), document);
}

function applyEdit(document: Document, edit: Edit, components: Record<string, Component>): Document {
  switch (edit.op) {
    case "add_node":
      return addNode(document, edit, components);
    case "remove_nodes":
      return removeNodes(document, new Set(edit.names));
    case "rename_node":
      return renameNode(document, edit.name, edit.to);
    case "connect":
      return bind(document, edit.node, edit.port, bindingTo(edit.from));
    case "disconnect":
      return bind(document, edit.node, edit.port, null);
    case "set_value":
      return bind(document, edit.node, edit.port, edit.value === null ? null : { kind: "value", value: edit.value });
    case "set_data":
      return bind(document, edit.node, edit.port, {
        kind: "data",
        path: edit.path,
        type: edit.type,
        mode: edit.mode ?? null,
      });
    case "move_nodes":
      return moved(document, edit.positions);
    case "set_disabled":
      return mapNodes(document, (node) =>
        edit.names.includes(node.name) ? { ...node, left_out: edit.disabled ? DISABLED : "" } : node,
      );
    case "set_comment":
      return mapNode(document, edit.node, (node) => ({ ...node, comment: edit.text }));
    case "set_setting":
      return mapNode(document, edit.node, (node) => ({
        ...node,
        settings: withSetting(node.settings, edit.key, edit.value),
      }));
    case "add_input": {
      const { name, type, value = null, path = null } = edit;
      const input = { name, type, value, path, optional: false, description: "", position: null };
      const extended = { ...document, inputs: [...document.inputs, input] };
      if (edit.connect === undefined) return extended;
      return bind(extended, edit.connect.node, edit.connect.port, { kind: "pipeline", name });
    }
    case "set_input": {
      const { op: _, name, ...changes } = edit;
      return {
        ...document,
        inputs: document.inputs.map((input) => (input.name === name ? { ...input, ...changes } : input)),
      };
    }
    case "rename_input":
      return rebind(
        {
          ...document,
          inputs: document.inputs.map((input) => (input.name === edit.name ? { ...input, name: edit.to } : input)),
        },
        (binding) =>
          binding.kind === "pipeline" && binding.name === edit.name ? { kind: "pipeline", name: edit.to } : binding,
      );
    case "remove_input":
      return rebind(
        { ...document, inputs: document.inputs.filter((input) => input.name !== edit.name) },
        (binding) => (binding.kind === "pipeline" && binding.name === edit.name ? null : binding),
      );
    case "add_output":
      return { ...document, outputs: [...document.outputs, outputOf(document, edit.name, edit.source)] };
    case "set_output":
      return {
        ...document,
        outputs: document.outputs.map((output) => (output.name === edit.name ? { ...output, path: edit.path } : output)),
      };
    case "rename_output":
      return {
        ...document,
        outputs: document.outputs.map((output) => (output.name === edit.name ? { ...output, name: edit.to } : output)),
      };
    case "remove_output":
      return { ...document, outputs: document.outputs.filter((output) => output.name !== edit.name) };
    case "set_pipeline":
      return setPipeline(document, edit.key, edit.value);
    case "duplicate_nodes":
    case "paste_nodes":
      return document;
  }
}

function addNode(document: Document, edit: Edit & { op: "add_node" }, components: Record<string, Component>): Document {
  const component = components[edit.reference] ?? null;
  const name = edit.name ?? component?.name ?? edit.reference;
  const inputs: Record<string, Binding> =
    edit.connect === undefined ? {} : { [edit.connect.port]: bindingTo(edit.connect.from) };
  const node: Node = {
    name,
    kind: "command",
    reference: edit.reference,
    component,
    inputs,
    outputs: {},
    position: edit.position ?? null,
    comment: "",
    left_out: "",
    settings: { compute: null, instance_count: null, process_count_per_instance: null, environment_variables: {} },
    line: 0,
  };
  return { ...document, nodes: [...document.nodes, node] };
}

function moved(document: Document, positions: Record<string, Point | null>): Document {
  const placed = <Card extends { position: Point | null }>(card: Card, id: string): Card => {
    const position = positions[id];
    return position === undefined ? card : { ...card, position };
  };
  return {
    ...mapNodes(document, (node) => placed(node, node.name)),
    inputs: document.inputs.map((input) => placed(input, inputNodeId(input.name))),
  };
}

function removeNodes(document: Document, names: Set<string>): Document {
  const kept = {
    ...document,
    nodes: document.nodes.filter((node) => !names.has(node.name)),
    faults: document.faults.filter((fault) => fault.node === null || !names.has(fault.node)),
    outputs: document.outputs.map((output) =>
      output.source !== null && names.has(output.source.node) ? { ...output, source: null } : output,
    ),
  };
  return rebind(kept, (binding) => (binding.kind === "node" && names.has(binding.node) ? null : binding));
}

function renameNode(document: Document, name: string, to: string): Document {
  const renamed = mapNode(document, name, (node) => ({ ...node, name: to }));
  return rebind(
    {
      ...renamed,
      faults: document.faults.map((fault) => (fault.node === name ? { ...fault, node: to } : fault)),
      outputs: document.outputs.map((output) =>
        output.source?.node === name ? { ...output, source: { ...output.source, node: to } } : output,
      ),
    },
    (binding) => (binding.kind === "node" && binding.node === name ? { ...binding, node: to } : binding),
  );
}

function setPipeline(document: Document, key: string, value: Literal | null): Document {
  const { [key]: _, ...others } = document.settings;
  const settings = value === null ? others : { ...others, [key]: value };
  return key === "description" ? { ...document, settings, description: String(value ?? "") } : { ...document, settings };
}

function withSetting(settings: NodeSettings, key: string, value: string | number | null): NodeSettings {
  if (key === "compute") return { ...settings, compute: value === null ? null : String(value) };
  if (key === "resources.instance_count") return { ...settings, instance_count: value };
  if (key === "distribution.process_count_per_instance") return { ...settings, process_count_per_instance: value };
  const { [key.replace(/^environment_variables\./, "")]: _, ...others } = settings.environment_variables;
  const name = key.replace(/^environment_variables\./, "");
  return { ...settings, environment_variables: value === null ? others : { ...others, [name]: String(value) } };
}

function outputOf(document: Document, name: string, source: { node: string; port: string }) {
  const ports = document.nodes.find((node) => node.name === source.node)?.component?.outputs;
  return { name, type: ports?.find((port) => port.name === source.port)?.type ?? "uri_folder", path: null, source };
}

function bindingTo(source: Source): Binding {
  return "input" in source ? { kind: "pipeline", name: source.input } : { kind: "node", ...source };
}

function bind(document: Document, node: string, port: string, binding: Binding | null): Document {
  return mapNode(document, node, (found) => ({ ...found, inputs: withBinding(found.inputs, port, binding) }));
}

function withBinding(inputs: Record<string, Binding>, port: string, binding: Binding | null): Record<string, Binding> {
  if (binding !== null) return { ...inputs, [port]: binding };
  const { [port]: _, ...others } = inputs;
  return others;
}

/** Every binding of every node exchanged or, for null, removed; nodes without a change stay the same objects. */
function rebind(document: Document, exchange: (binding: Binding) => Binding | null): Document {
  return mapNodes(document, (node) => {
    let inputs = node.inputs;
    for (const [port, binding] of Object.entries(node.inputs)) {
      const changed = exchange(binding);
      if (changed !== binding) inputs = withBinding(inputs, port, changed);
    }
    return inputs === node.inputs ? node : { ...node, inputs };
  });
}

function mapNode(document: Document, name: string, change: (node: Node) => Node): Document {
  return mapNodes(document, (node) => (node.name === name ? change(node) : node));
}

function mapNodes(document: Document, change: (node: Node) => Node): Document {
  return { ...document, nodes: document.nodes.map(change) };
}
