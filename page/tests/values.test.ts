import { expect, it } from "vitest";

import { factsOf, rangeOf, typedValue } from "../src/editing/values";
import { parameter } from "./demo";

const epochs = parameter("epochs", "integer", { default: 5, minimum: 1, maximum: 10 });

it.each([
  [epochs, "3", 3, null],
  [epochs, " 3 ", 3, null],
  [epochs, "0", 0, "epochs is 0, but must be 1 to 10."],
  [epochs, "2.5", "2.5", "A whole number is needed."],
  [epochs, "", null, null],
  [parameter("rate", "number", { default: 0.1 }), "1e-3", 0.001, null],
  [parameter("rate", "number", { default: 0.1 }), ".5", 0.5, null],
  [parameter("rate", "number", { default: 0.1 }), "fast", "fast", "A number is needed."],
  [parameter("name", "string"), "", null, "name is needed."],
  [parameter("name", "string", { default: "a" }), "", "", null],
  [parameter("on", "boolean", { default: false }), "true", true, null],
  [parameter("net", "string", { choices: ["a", "b"] }), "c", "c", "One of a, b is needed."],
])("%o typed as %j is %j", (given, text, value, problem) => {
  expect(typedValue(given, text)).toEqual({ value, problem });
});

it("tells ranges in words", () => {
  expect(rangeOf(parameter("p", "number", { minimum: 5e-324 }))).toBe("above 0");
  expect(rangeOf(parameter("p", "number", { minimum: 5e-324, maximum: 1 }))).toBe("above 0 and at most 1");
  expect(factsOf(epochs)).toBe("integer, 1 to 10, default 5");
  expect(factsOf(parameter("name", "string"))).toBe("string, required");
});
