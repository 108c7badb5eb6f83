/** Copy and paste of nodes, as the text that is in the file: it can be pasted into another pipeline, or into an editor. */

import type { Document, Node, Point } from "../api/types";

/** The lines of some nodes, without the indentation that they have in the file. */
export function nodeTexts(text: string, document: Document, names: string[]): string {
  const lines = text.split("\n");
  const chosen = document.nodes.filter(({ name }) => names.includes(name));
  return chosen
    .sort((a, b) => a.line - b.line)
    .map((node) => blockOf(lines, node))
    .join("\n");
}

function blockOf(lines: string[], node: Node): string {
  const start = node.line - 1;
  const depth = indentation(lines[start] ?? "");
  let end = start + 1;
  while (end < lines.length && (isBlank(lines[end]) || indentation(lines[end] ?? "") > depth)) end += 1;
  while (end > start + 1 && isBlank(lines[end - 1])) end -= 1;
  return lines
    .slice(start, end)
    .map((line) => line.slice(Math.min(depth, indentation(line))))
    .join("\n");
}

const indentation = (line: string): number => line.length - line.trimStart().length;
const isBlank = (line: string | undefined): boolean => line === undefined || /^\s*(#.*)?$/.test(line);

/** Whether a text may be nodes: mappings at its left edge. */
export function looksLikeNodes(text: string): boolean {
  return /^[A-Za-z_]\w*:\s*(#.*)?$/m.test(text) && /^\s+(component|type|inputs|jobs):/m.test(text);
}

/** Upper left corner of some cards. */
export function cornerOf(places: Point[]): Point {
  return { x: Math.min(...places.map(({ x }) => x)), y: Math.min(...places.map(({ y }) => y)) };
}
