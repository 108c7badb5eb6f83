import { expect, it } from "vitest";

import { pictureOf } from "../src/canvas/pictureOfPipeline";
import { placesOf, sizesOf, type Places } from "../src/canvas/layout";
import { cardsOf, linksOf } from "../src/canvas/flowNodes";
import { arranged, inAColumn, inARow } from "../src/editing/alignment";
import { applyEdits } from "../src/editing/applyEdits";
import { components, demo, node, train } from "./demo";

function overlaps(places: Places, sizes: ReturnType<typeof sizesOf>): string[] {
  const ids = Object.keys(places);
  return ids.flatMap((a, at) =>
    ids.slice(at + 1).flatMap((b) => {
      const [p, q, s, t] = [places[a]!, places[b]!, sizes.get(a)!, sizes.get(b)!];
      const isApart = p.x + s.width <= q.x || q.x + t.width <= p.x || p.y + s.height <= q.y || q.y + t.height <= p.y;
      return isApart ? [] : [`${a} ${b}`];
    }),
  );
}

it("lays data out from left to right, without one card on another", () => {
  const places = placesOf(demo(), {});
  expect(places["input:data"]!.x).toBeLessThan(places.convert!.x);
  expect(places.convert!.x).toBeLessThan(places.train!.x);
  expect(places.train!.x).toBeLessThan(places.score!.x);
  expect(overlaps(places, sizesOf(demo()))).toEqual([]);
});

it("leaves what was moved, and what has a place, where it is", () => {
  const document = demo();
  const before = placesOf(document, {});
  document.nodes[2]!.position = { x: 900, y: 700 };
  document.nodes.push(node("more", train, { inputs: { model: { kind: "node", node: "resnet", port: "untrained" } } }));
  const after = placesOf(document, before);
  expect(after.train).toEqual({ x: 900, y: 700 });
  expect(after.convert).toEqual(before.convert);
  expect(overlaps(after, sizesOf(document))).toEqual([]);
});

it("draws cards and links again only where something changed", () => {
  const document = demo();
  const places = placesOf(document, {});
  const cards = cardsOf(document, places, new Set(), []);
  const links = linksOf(document, new Set(), []);
  const changed = applyEdits(document, [{ op: "set_value", node: "train", port: "epochs", value: 2 }], components);
  const again = cardsOf(changed, places, new Set(["score"]), cards);
  expect(again.map((card, at) => (card === cards[at] ? "same" : card.id))).toEqual(["same", "same", "same", "train", "score"]);
  expect(linksOf(changed, new Set(), links).every((link, at) => link === links[at])).toBe(true);
});

it("writes a picture in which names are text and nothing else", () => {
  const document = { ...demo(), name: `<script>alert("&")</script>` };
  const picture = pictureOf(document, placesOf(document, {}));
  expect(picture).toContain("&lt;script&gt;alert(&quot;&amp;&quot;)&lt;/script&gt;");
  expect(picture.match(/<path d="M/g)).toHaveLength(4);
  expect(picture).not.toContain("NaN");
});

it("aligns what is selected without one card on another, and arranges it where it lies", () => {
  const document = demo();
  const lying = { train: { x: 300, y: 90 }, resnet: { x: 100, y: 110 }, score: { x: 320, y: 500 } };
  const row = inARow(lying, document);
  expect(Object.keys(row).sort((a, b) => row[a]!.x - row[b]!.x)).toEqual(["resnet", "train", "score"]);
  expect(new Set(Object.values(row).map(({ y }) => y))).toEqual(new Set([90]));
  expect(row.resnet!.x).toBe(100);
  const column = inAColumn(lying, document);
  expect(new Set(Object.values(column).map(({ x }) => x))).toEqual(new Set([100]));
  expect(column.score!.y).toBe(500);
  const tidy = arranged(lying, document);
  expect([tidy.resnet!.x, Math.min(...Object.values(tidy).map(({ y }) => y))]).toEqual([100, 90]);
  expect(tidy.train!.x).toBeGreaterThan(100);
  expect(Object.keys(tidy).sort()).toEqual(Object.keys(lying).sort());
  for (const places of [row, column, tidy]) expect(overlaps(places, sizesOf(document))).toEqual([]);
});
