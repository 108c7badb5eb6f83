/** A palette and a pipeline for tests, small enough to be read. */

import type { Component, Document, Node, Parameter, Port } from "../src/api/types";

export function port(name: string, directory_type: string | null = null, type = "uri_folder", optional = false): Port {
  return { name, type, directory_type, optional, description: "" };
}

export function parameter(name: string, type: Parameter["type"], facts: Partial<Parameter> = {}): Parameter {
  return { name, type, default: null, minimum: null, maximum: null, choices: null, optional: false, description: "", ...facts };
}

export function component(name: string, facts: Partial<Component> = {}): Component {
  return {
    reference: `builtin:${name}`,
    name,
    display_name: name.replaceAll("_", " "),
    version: "1",
    description: "",
    category: "Test",
    kind: "command",
    is_builtin: true,
    inputs: [],
    parameters: [],
    outputs: [],
    fault: null,
    file: null,
    ...facts,
  };
}

export const convert = component("convert", {
  inputs: [port("dataset", "AnyDirectory")],
  outputs: [port("images", "ImageDirectory")],
});
export const resnet = component("resnet", { outputs: [port("untrained", "UntrainedModelDirectory")] });
export const train = component("train", {
  inputs: [port("model", "UntrainedModelDirectory"), port("images", "ImageDirectory")],
  parameters: [parameter("epochs", "integer", { default: 5, minimum: 1 })],
  outputs: [port("trained", "ModelDirectory")],
});
export const score = component("score", {
  inputs: [port("model", "ModelDirectory"), port("images", "ImageDirectory")],
  outputs: [port("scores", "DataFrameDirectory")],
});
export const components: Record<string, Component> = Object.fromEntries(
  [convert, resnet, train, score].map((each) => [each.reference, each]),
);

export function node(name: string, of: Component, facts: Partial<Node> = {}): Node {
  return {
    name,
    kind: "command",
    reference: of.reference,
    component: of,
    inputs: {},
    outputs: {},
    position: null,
    comment: "",
    left_out: "",
    settings: { compute: null, instance_count: null, process_count_per_instance: null, environment_variables: {} },
    line: 1,
    ...facts,
  };
}

/** data -> convert -> train -> score; train also has resnet, score also the images. */
export function demo(): Document {
  return {
    path: "pipeline.yaml",
    version: "v1",
    name: "demo",
    description: "",
    nodes: [
      node("convert", convert, { inputs: { dataset: { kind: "pipeline", name: "data" } } }),
      node("resnet", resnet),
      node("train", train, {
        inputs: {
          model: { kind: "node", node: "resnet", port: "untrained" },
          images: { kind: "node", node: "convert", port: "images" },
          epochs: { kind: "pipeline", name: "epochs" },
        },
      }),
      node("score", score, { inputs: { model: { kind: "node", node: "train", port: "trained" } } }),
    ],
    inputs: [
      { name: "data", type: "uri_folder", value: null, path: "images", optional: false, description: "", position: null },
      { name: "epochs", type: "integer", value: 3, path: null, optional: false, description: "", position: null },
    ],
    outputs: [{ name: "model", type: "uri_folder", path: null, source: { node: "train", port: "trained" } }],
    settings: {},
    faults: [],
    undo: null,
    redo: null,
    read_only: null,
  };
}
