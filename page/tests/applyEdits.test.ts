import { describe, expect, it } from "vitest";

import type { Document, Edit } from "../src/api/types";
import { applyEdits } from "../src/editing/applyEdits";
import { components, demo } from "./demo";

const after = (...edits: Edit[]): Document => applyEdits(demo(), edits, components);
const inputsOf = (document: Document, name: string) => document.nodes.find((node) => node.name === name)?.inputs;

describe("before the server has answered", () => {
  it("an added node is linked", () => {
    const document = after(
      { op: "add_node", reference: "builtin:score", name: "again", position: { x: 1, y: 2 } },
      { op: "connect", node: "again", port: "model", from: { node: "train", port: "trained" } },
    );
    expect(document.nodes.at(-1)).toMatchObject({
      name: "again",
      position: { x: 1, y: 2 },
      component: { name: "score" },
      inputs: { model: { kind: "node", node: "train", port: "trained" } },
    });
  });

  it("a removed node takes its links along", () => {
    const document = after({ op: "remove_nodes", names: ["train"] });
    expect(document.nodes.map(({ name }) => name)).toEqual(["convert", "resnet", "score"]);
    expect(inputsOf(document, "score")).toEqual({});
    expect(document.outputs[0]?.source).toBeNull();
  });

  it("a renamed node keeps its links", () => {
    const document = after({ op: "rename_node", name: "train", to: "learn" });
    expect(inputsOf(document, "score")?.model).toEqual({ kind: "node", node: "learn", port: "trained" });
    expect(document.outputs[0]?.source).toEqual({ node: "learn", port: "trained" });
  });

  it("a renamed input keeps its bindings, and a removed one loses them", () => {
    const renamed = after({ op: "rename_input", name: "epochs", to: "rounds" });
    expect(inputsOf(renamed, "train")?.epochs).toEqual({ kind: "pipeline", name: "rounds" });
    const removed = after({ op: "remove_input", name: "epochs" });
    expect(inputsOf(removed, "train")).not.toHaveProperty("epochs");
  });

  it("values are set and reset", () => {
    const set: Edit = { op: "set_value", node: "train", port: "epochs", value: 7 };
    expect(inputsOf(after(set), "train")?.epochs).toEqual({ kind: "value", value: 7 });
    expect(inputsOf(after(set, { ...set, value: null }), "train")).not.toHaveProperty("epochs");
  });

  it("environment variables come and go", () => {
    const key = "environment_variables.TOKENS";
    const set: Edit = { op: "set_setting", node: "train", key, value: "1" };
    const variables = (document: Document) =>
      document.nodes.find(({ name }) => name === "train")?.settings.environment_variables;
    expect(variables(after(set))).toEqual({ TOKENS: "1" });
    expect(variables(after(set, { ...set, value: null }))).toEqual({});
  });

  it("nodes that an edit does not touch stay the same objects", () => {
    const before = demo();
    const document = applyEdits(before, [{ op: "set_comment", node: "train", text: "why" }], components);
    expect(document.nodes.map((node, at) => node === before.nodes[at])).toEqual([true, true, false, true]);
  });
});
