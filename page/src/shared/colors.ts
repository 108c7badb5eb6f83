/** Hues of categories and of what ports hold; the same name always has the same one. Their colors are in canvas.css. */

const NUM_HUES = 8;

export function hueOf(name: string): number {
  let hash = 0;
  for (const letter of name) hash = (hash * 31 + (letter.codePointAt(0) ?? 0)) % 9973;
  return hash % NUM_HUES;
}
