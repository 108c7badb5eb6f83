/**
 * Window of a log: a run of neighboring parts of the file, of bounded size.
 *
 * Logs grow to gigabytes, so the page keeps only the parts around what is shown. A part that is added at one end
 * pushes parts out at the other. Places are in bytes, as the server has them.
 */

export interface LogPart {
  text: string;
  offset: number;
  next_offset: number;
}

export interface LogWindow {
  parts: readonly LogPart[];
  /** How many bytes the whole file has. */
  size: number;
}

/** What is kept at most, in bytes: about ten thousand lines. */
export const MAX_WINDOW_BYTES = 1 << 20;
const MAX_LINE = 4000;

export const EMPTY_WINDOW: LogWindow = { parts: [], size: 0 };

export function windowStart(window: LogWindow): number {
  return window.parts[0]?.offset ?? 0;
}

export function windowEnd(window: LogWindow): number {
  return window.parts.at(-1)?.next_offset ?? 0;
}

/** The window with a part after its end; one that does not begin there begins a new window. */
export function appended(window: LogWindow, part: LogPart, size: number): LogWindow {
  if (part.next_offset === part.offset) return { parts: window.parts, size };
  if (window.parts.length > 0 && part.offset !== windowEnd(window)) return { parts: [part], size };
  const parts = [...window.parts, part];
  while (parts.length > 1 && part.next_offset - parts[0]!.offset > MAX_WINDOW_BYTES) parts.shift();
  return { parts, size };
}

/** The window with a part before its start, which must end there. */
export function prepended(window: LogWindow, part: LogPart, size: number): LogWindow {
  if (part.next_offset === part.offset) return { parts: window.parts, size };
  if (window.parts.length > 0 && part.next_offset !== windowStart(window)) return { parts: [part], size };
  const parts = [part, ...window.parts];
  while (parts.length > 1 && parts.at(-1)!.next_offset - part.offset > MAX_WINDOW_BYTES) parts.pop();
  return { parts, size };
}

export interface LogLines {
  lines: readonly string[];
  /** By part, the index of its first line. */
  starts: readonly number[];
}

/** The lines of the window as a terminal would show them: without escape sequences, progress bars in one line. */
export function linesOf(window: LogWindow): LogLines {
  const lines: string[] = [];
  const starts: number[] = [];
  let open: string | null = null; // the text of a line that the part before has begun
  for (const part of window.parts) {
    starts.push(open === null ? lines.length : lines.length - 1);
    const pieces = part.text.split("\n");
    pieces.forEach((piece, index) => {
      const isLast = index === pieces.length - 1;
      const text = open === null ? piece : open + piece;
      if (open !== null) lines.pop();
      open = null;
      if (isLast && text === "") return;
      lines.push(shownLine(text));
      if (isLast) open = text;
    });
  }
  return { lines, starts };
}

/** Rows of a fixed number of columns; `lineOfRow` tells which line each belongs to. */
export function wrapped(lines: readonly string[], columns: number): { rows: string[]; lineOfRow: number[] } {
  const rows: string[] = [];
  const lineOfRow: number[] = [];
  lines.forEach((line, index) => {
    for (let start = 0; start === 0 || start < line.length; start += columns) {
      rows.push(line.slice(start, start + columns));
      lineOfRow.push(index);
    }
  });
  return { rows, lineOfRow };
}

// Escape sequences: CSI (colors, cursor), OSC (titles, links), and single ones.
// eslint-disable-next-line no-control-regex
const ESCAPES = /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\-_])/g;
// eslint-disable-next-line no-control-regex
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

function shownLine(text: string): string {
  const end = text.endsWith("\r") ? text.length - 1 : text.length;
  let line = text.slice(text.lastIndexOf("\r", end - 1) + 1, end);
  if (line.includes("\x1b")) line = line.replace(ESCAPES, "");
  line = line.replace(CONTROLS, "\u00b7").replaceAll("\t", "    ");
  if (line.length <= MAX_LINE) return line;
  return `${line.slice(0, MAX_LINE)} … (${(line.length - MAX_LINE).toLocaleString("en-US")} characters more)`;
}

/** The line that holds a text, after or before a line; -1: none. Case does not matter. */
export function findLine(lines: readonly string[], text: string, from: number, step: 1 | -1): number {
  const wanted = text.toLowerCase();
  for (let index = from; index >= 0 && index < lines.length; index += step) {
    if (lines[index]!.toLowerCase().includes(wanted)) return index;
  }
  return -1;
}

/** The line at which a named error begins: the last that has its message, else its name, else a traceback. */
export function errorLine(lines: readonly string[], error: { name: string | null; message: string }): number {
  const message = error.message.split("\n")[0]!.slice(0, 60).trim();
  for (const wanted of [message, error.name, "Traceback (most recent call last)"]) {
    if (wanted === null || wanted === "") continue;
    for (let index = lines.length - 1; index >= 0; index -= 1) {
      if (lines[index]!.includes(wanted)) return index;
    }
  }
  return lines.length - 1;
}
