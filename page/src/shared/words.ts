/** Small pieces of language. */

export function plural(count: number, singular: string, several = `${singular}s`): string {
  return `${count} ${count === 1 ? singular : several}`;
}

/** "a", "a and b", "a, b and 3 more". */
export function listed(names: string[], most = 3): string {
  if (names.length <= 1) return names[0] ?? "";
  if (names.length <= most) return `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
  return `${names.slice(0, most - 1).join(", ")} and ${names.length - most + 1} more`;
}

/** A name that is not yet in use: `name`, `name_2`, `name_3`, ... */
export function freeName(name: string, used: Iterable<string>): string {
  const taken = new Set(used);
  let free = name;
  for (let number = 2; taken.has(free); number += 1) free = `${name}_${number}`;
  return free;
}

/** A text as Azure ML accepts it as the name of a node, an input or an output. */
export function asName(text: string): string {
  const name = text.trim().toLowerCase().replace(/[^a-z0-9_]+/g, "_").replace(/^_+|_+$/g, "");
  return /^[0-9]/.test(name) ? `_${name}` : name;
}

export const NAME_PATTERN = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** Why a name cannot be given, or null. */
export function nameProblem(name: string, used: Iterable<string>): string | null {
  if (name === "") return "A name is needed.";
  if (!NAME_PATTERN.test(name)) return "Letters, digits and underscores, with no digit in front.";
  return new Set(used).has(name) ? `There already is ${name}.` : null;
}

/** "pipeline-copy.yaml", or with a number where that is taken. */
export function freePath(path: string, documents: readonly { path: string }[]): string {
  const dot = path.lastIndexOf(".");
  const [stem, ending] = dot < 0 ? [path, ".yaml"] : [path.slice(0, dot), path.slice(dot)];
  const taken = new Set(documents.map((document) => document.path));
  for (let number = 1; ; number += 1) {
    const wanted = `${stem}-copy${number === 1 ? "" : `-${number}`}${ending}`;
    if (!taken.has(wanted)) return wanted;
  }
}
