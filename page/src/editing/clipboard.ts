/** Nodes on the clipboard are the YAML of the file: they go into another pipeline, or into an editor. */

/** Whether a text may be nodes: mappings at its left edge. */
export function looksLikeNodes(text: string): boolean {
  return /^[A-Za-z_]\w*:\s*(#.*)?$/m.test(text) && /^\s+(component|type|inputs|jobs):/m.test(text);
}
