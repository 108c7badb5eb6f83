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

export function timeOfDay(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}

/** How long something took: "0.8 s", "42 s", "3 min 05 s", "2 h 10 min". */
export function duration(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole} s`;
  const two = (value: number): string => String(value).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${two(whole % 60)} s`;
  return `${Math.floor(whole / 3600)} h ${two(Math.floor((whole % 3600) / 60))} min`;
}
