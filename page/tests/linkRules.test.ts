import { describe, expect, it } from "vitest";

import {
  allEnds,
  connectedNodes,
  directoriesFit,
  endKey,
  linkProblem,
  problemsFrom,
  takenBy,
  typesFit,
  type PortEnd,
} from "../src/editing/linkRules";
import { demo } from "./demo";

const output = (node: string, port: string): PortEnd => ({ node, port, side: "output" });
const input = (node: string, port: string): PortEnd => ({ node, port, side: "input" });

describe("types", () => {
  it.each([
    ["uri_folder", "uri_folder", true],
    ["mltable", "uri_folder", true],
    ["uri_file", "uri_folder", false],
    ["mlflow_model", "uri_file", false],
    ["custom_model", "uri_file", true],
    ["integer", "number", true],
    ["number", "integer", false],
    ["uri_folder", "integer", false],
    ["integer", "string", true],
    ["", "integer", true],
  ])("%s to %s: %s", (given, wanted, isRight) => expect(typesFit(given, wanted)).toBe(isRight));

  it.each([
    ["ImageDirectory", "ImageDirectory", true],
    ["ImageDirectory", "ModelDirectory", false],
    ["ModelDirectory", "UntrainedModelDirectory", true],
    ["UntrainedModelDirectory", "ModelDirectory", false],
    ["ImageDirectory", "AnyDirectory", true],
    [null, "ModelDirectory", true],
  ])("%s to %s: %s", (given, wanted, isRight) => expect(directoriesFit(given, wanted)).toBe(isRight));
});

describe("links", () => {
  it("are refused between directories that do not fit, with both names", () => {
    expect(linkProblem(demo(), output("convert", "images"), input("score", "model"))).toBe(
      "images holds ImageDirectory, model expects ModelDirectory.",
    );
  });

  it("are refused where they close a circle", () => {
    expect(linkProblem(demo(), output("score", "scores"), input("convert", "dataset"))).toBe(
      "score waits for convert: this would be a circle.",
    );
    expect(linkProblem(demo(), output("train", "trained"), input("train", "model"))).toBe("A node cannot wait for itself.");
    expect(linkProblem(demo(), output("train", "trained"), input("score", "model"))).toBeNull();
  });

  it("know what they would replace", () => {
    expect(takenBy(demo(), input("train", "images"))).toBe("convert.images");
    expect(takenBy(demo(), input("convert", "dataset"))).toBe("the pipeline input data");
    expect(takenBy(demo(), input("score", "images"))).toBeNull();
  });
});

it("all problems at once are those of each link", () => {
  const document = demo();
  const from = output("convert", "images");
  const problems = problemsFrom(document, from);
  for (const end of allEnds(document).filter(({ side }) => side === "input")) {
    expect(problems[endKey(end)], endKey(end)).toBe(linkProblem(document, from, end));
  }
  expect(problems[endKey(input("score", "images"))]).toBeNull();
});

it("problems from an input are those of links that end there", () => {
  const document = demo();
  const to = input("train", "images");
  const problems = problemsFrom(document, to);
  expect(problems[endKey(output("score", "scores"))]).toContain("circle");
  expect(problems[endKey(output("input:data", "data"))]).toBeNull();
});

it("follows links in both directions", () => {
  expect([...connectedNodes(demo(), "train", "before")].sort()).toEqual(["convert", "resnet", "train"]);
  expect([...connectedNodes(demo(), "convert", "after")].sort()).toEqual(["convert", "score", "train"]);
});
