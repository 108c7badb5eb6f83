/** Values of parameters as they are typed: what a text means, and whether the component takes it. */

import type { Literal, Parameter } from "../api/types";

export interface TypedValue {
  /** What is written into the file; null is back to the default. A text that means nothing is written as it is. */
  value: Literal | null;
  /** Why the component does not take it, or null. */
  problem: string | null;
}

export function typedValue(parameter: Parameter, text: string): TypedValue {
  const trimmed = text.trim();
  if (trimmed === "" && (parameter.type !== "string" || parameter.default === null || parameter.optional)) {
    const isNeeded = parameter.default === null && !parameter.optional;
    return { value: null, problem: isNeeded ? `${parameter.name} is needed.` : null };
  }
  switch (parameter.type) {
    case "integer":
      return /^[+-]?\d+$/.test(trimmed) ? inRange(parameter, Number(trimmed)) : { value: text, problem: "A whole number is needed." };
    case "number":
      return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(trimmed)
        ? inRange(parameter, Number(trimmed))
        : { value: text, problem: "A number is needed." };
    case "boolean":
      return { value: trimmed.toLowerCase() === "true", problem: null };
    case "string":
      return { value: text, problem: choiceProblem(parameter, text) };
  }
}

function inRange(parameter: Parameter, value: number): TypedValue {
  const { minimum, maximum } = parameter;
  const isBelow = minimum !== null && value < minimum;
  const isAbove = maximum !== null && value > maximum;
  return { value, problem: isBelow || isAbove ? `${parameter.name} is ${value}, but must be ${rangeOf(parameter)}.` : null };
}

function choiceProblem(parameter: Parameter, text: string): string | null {
  if (parameter.choices === null || parameter.choices.includes(text)) return null;
  return `One of ${parameter.choices.join(", ")} is needed.`;
}

/** "1 to 10", "at least 1", "at most 1", or "" where there is no limit. */
export function rangeOf({ minimum, maximum }: Parameter): string {
  // The smallest number above zero stands for "above zero".
  const isAboveZero = minimum !== null && minimum > 0 && minimum < 1e-300;
  if (minimum !== null && maximum !== null) return isAboveZero ? `above 0 and at most ${maximum}` : `${minimum} to ${maximum}`;
  if (minimum !== null) return isAboveZero ? "above 0" : `at least ${minimum}`;
  return maximum === null ? "" : `at most ${maximum}`;
}

/** Type, range and default of a parameter in a few words. */
export function factsOf(parameter: Parameter): string {
  const facts = [parameter.type, rangeOf(parameter)];
  if (parameter.default !== null) facts.push(`default ${parameter.default === "" ? "empty" : parameter.default}`);
  else facts.push(parameter.optional ? "optional" : "required");
  return facts.filter((fact) => fact !== "").join(", ");
}
