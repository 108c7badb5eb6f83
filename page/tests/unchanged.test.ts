import { expect, it } from "vitest";

import { withUnchanged } from "../src/state/unchanged";
import { demo } from "./demo";

it("keeps the objects of nodes and faults that are as they were", () => {
  const [before, after] = [demo(), { ...demo(), version: "v2" }];
  after.nodes[2]!.comment = "New.";
  const shown = withUnchanged(before, after);
  expect(shown.version).toBe("v2");
  expect(shown.nodes.map((node, at) => node === before.nodes[at])).toEqual(before.nodes.map((_, at) => at !== 2));
  expect(shown.nodes[2]?.comment).toBe("New.");
  expect(shown.faults).toBe(before.faults);
  expect(withUnchanged({ ...before, path: "other.yaml" }, after)).toBe(after);
});
