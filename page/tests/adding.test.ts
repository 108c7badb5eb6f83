import { expect, it } from "vitest";

import { looksLikeNodes } from "../src/editing/clipboard";
import { choices, fittingPort } from "../src/editing/adding";
import { changeOf } from "../src/state/paletteSlice";
import { parts } from "../src/drawer/TextPanel";
import { asName, freeName, listed, nameProblem } from "../src/shared/words";
import { component, components, port, score, train } from "./demo";

const all = Object.values(components);

it("finds components by words, titles first", () => {
  const helper = component("helper", { description: "Used before you train." });
  expect(choices([helper, ...all], "train", []).map(({ title }) => title)).toEqual(["train", "helper"]);
  expect(choices(all, "train score", [])).toEqual([]);
});

it("offers only what fits the port, through the port that fits best", () => {
  const fitting = { port: port("trained", "ModelDirectory"), side: "output" as const };
  expect(choices(all, "", [fitting]).map(({ title, port: own }) => `${title} ${own}`).sort()).toEqual([
    "convert dataset",
    "score model",
    "train model",
  ]);
  const both = [fitting, { port: port("dataset", "ImageDirectory"), side: "input" as const }];
  expect(choices(all, "", both).map(({ title }) => title)).toEqual(["convert"]);
  expect(fittingPort(train, port("x", "ImageDirectory"), "output")).toBe("images");
  expect(fittingPort(score, port("x", "ImageDirectory"), "input")).toBeNull();
});

it("offers what is for the same kind of data before what takes any", () => {
  const fitting = { port: port("untrained", "UntrainedModelDirectory"), side: "output" as const };
  expect(choices(all, "", [fitting]).map(({ title }) => title)).toEqual(["train", "convert"]);
});

it("leaves out components that do not load", () => {
  expect(choices([component("broken", { fault: "no command" })], "", [])).toEqual([]);
});

it("says what changed in a component", () => {
  expect(changeOf(score, score)).toBeNull();
  expect(changeOf(score, { ...score, version: "2", inputs: [port("model"), port("mask")] })).toBe(
    "The component changed: version 2 instead of 1; new inputs: mask; inputs that are gone: images.",
  );
});

it("makes names that Azure ML takes", () => {
  expect(freeName("train", ["train", "train_2"])).toBe("train_3");
  expect(asName("My Node 2!")).toBe("my_node_2");
  expect(asName("2nd")).toBe("_2nd");
  expect(nameProblem("a b", [])).toBe("Letters, digits and underscores, with no digit in front.");
  expect(nameProblem("a", ["a"])).toBe("There already is a.");
});

it("tells nodes from other text", () => {
  expect(looksLikeNodes("train:\n  component: ./train.yaml\n")).toBe(true);
  expect(looksLikeNodes("a sentence: with a colon")).toBe(false);
});

it("words lists", () => {
  expect([listed(["a"]), listed(["a", "b"]), listed(["a", "b", "c", "d", "e"])]).toEqual(["a", "a and b", "a, b and 3 more"]);
});

it("colors a line of YAML and loses no letter of it", () => {
  const line = "  epochs: ${{parent.inputs.epochs}}  # how many";
  expect(parts(line).map(([, part]) => part).join("")).toBe(line);
  expect(parts(line).map(([kind]) => kind)).toEqual(["text", "key", "text", "value", "binding", "value", "comment"]);
});
