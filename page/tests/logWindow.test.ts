import { describe, expect, it } from "vitest";

import type { LogText } from "../src/api/types";
import { LogReader } from "../src/looking/logReader";
import {
  appended,
  EMPTY_WINDOW,
  errorLine,
  linesOf,
  type LogWindow,
  MAX_WINDOW_BYTES,
  prepended,
  windowEnd,
  windowStart,
  wrapped,
} from "../src/looking/logWindow";

const part = (offset: number, text: string) => ({ text, offset, next_offset: offset + text.length });
const windowOf = (...texts: string[]): LogWindow => {
  let window = EMPTY_WINDOW;
  let offset = 0;
  for (const text of texts) {
    window = appended(window, part(offset, text), offset + text.length);
    offset += text.length;
  }
  return window;
};

describe("window of a log", () => {
  it("joins a line that two parts share", () => {
    const { lines, starts } = linesOf(windowOf("one\ntw", "o\nthree\n", "four"));
    expect(lines).toEqual(["one", "two", "three", "four"]);
    expect(starts).toEqual([0, 1, 3]);
  });

  it("shows of a progress bar what a terminal would", () => {
    expect(linesOf(windowOf("10%\r20%\r", "30%\rdone\r\nnext\n")).lines).toEqual(["done", "next"]);
    expect(linesOf(windowOf("10%\r20%\r")).lines).toEqual(["20%"]);
  });

  it("takes escape sequences away and shows other controls as dots", () => {
    const text = "\x1b[31mred\x1b[0m \x1b]0;title\x07x\x00y \u202ez\n";
    expect(linesOf(windowOf(text)).lines).toEqual(["red x·y ·z"]);
  });

  it("cuts a line that is too long, and says how much is left out", () => {
    const [line] = linesOf(windowOf(`${"x".repeat(5000)}\n`)).lines;
    expect(line).toMatch(/x … \(1,000 characters more\)$/);
  });

  it("stays bounded when parts are added at either end", () => {
    const text = "x".repeat(MAX_WINDOW_BYTES / 4);
    let window = windowOf(text, text, text, text, text, text);
    expect(windowEnd(window) - windowStart(window)).toBeLessThanOrEqual(MAX_WINDOW_BYTES);
    expect(windowEnd(window)).toBe(6 * text.length);
    for (let start = windowStart(window); start > 0; start -= text.length) {
      window = prepended(window, part(start - text.length, text), window.size);
    }
    expect(windowStart(window)).toBe(0);
    expect(windowEnd(window)).toBe(MAX_WINDOW_BYTES);
  });

  it("begins anew with a part that is not beside it", () => {
    const window = appended(windowOf("one\n"), part(100, "far\n"), 104);
    expect(linesOf(window).lines).toEqual(["far"]);
  });

  it("is wrapped at the width of the view", () => {
    expect(wrapped(["abcde", "", "f"], 2)).toEqual({ rows: ["ab", "cd", "e", "", "f"], lineOfRow: [0, 0, 0, 1, 2] });
  });
});

describe("line of an error", () => {
  it("is the last that has the message, else the name, else a traceback, else the last line", () => {
    const lines = ["InvalidX: bad folder", "again: bad folder", "Traceback (most recent call last)", "end"];
    expect(errorLine(lines, { name: "InvalidX", message: "bad folder\nmore" })).toBe(1);
    expect(errorLine(lines, { name: "InvalidX", message: "nowhere" })).toBe(0);
    expect(errorLine(lines, { name: "Other", message: "nowhere" })).toBe(2);
    expect(errorLine(["a", "b"], { name: "Other", message: "nowhere" })).toBe(1);
  });
});

/** A log on a server: parts end with whole lines, as the server's do. */
class ServedLog {
  text = "";
  numReads = 0;
  read = async (place: { offset?: number; before?: number; limit?: number }): Promise<LogText> => {
    this.numReads += 1;
    const limit = place.limit ?? 65536;
    let [start, end] = [0, 0];
    if (place.before !== undefined) {
      end = place.before;
      start = this.lineAt(Math.max(end - limit, 0));
    } else {
      const offset = place.offset ?? 0;
      start = offset < 0 ? this.lineAt(Math.max(this.text.length + offset, 0)) : offset;
      end = Math.min(start + limit, this.text.length);
      end = this.text.lastIndexOf("\n", end - 1) + 1;
    }
    return { text: this.text.slice(start, end), offset: start, next_offset: end, size: this.text.length, ended: false };
  };

  private lineAt(offset: number): number {
    return offset === 0 ? 0 : this.text.indexOf("\n", offset - 1) + 1;
  }
}

const numbered = (count: number) => Array.from({ length: count }, (_, index) => `line ${index} ${"x".repeat(90)}\n`).join("");

describe("reader of a log", () => {
  it("follows the end without a gap", async () => {
    const log = new ServedLog();
    const reader = new LogReader(log.read);
    log.text = "one\n";
    await reader.toEnd();
    log.text = "one\ntwo\n";
    await reader.toEnd();
    expect(reader.current().lines).toEqual(["one", "two"]);
  });

  it("leaves out what nobody can read when the log runs away, and stays bounded", async () => {
    const log = new ServedLog();
    const reader = new LogReader(log.read);
    for (let step = 1; step <= 5; step += 1) {
      log.text += numbered(40_000);
      reader.grew(log.text.length);
      await reader.toEnd();
      expect(reader.current().lines.at(-1)).toContain("line 39999 ");
      expect(reader.current().end - reader.current().start).toBeLessThanOrEqual(MAX_WINDOW_BYTES);
    }
    expect(log.numReads).toBeLessThan(15);
  });

  it("pages back to the beginning, without losing a line", async () => {
    const log = new ServedLog();
    log.text = numbered(30_000);
    const reader = new LogReader(log.read);
    await reader.toEnd();
    reader.hold();
    for (let page = 0; page < 200 && reader.current().start > 0; page += 1) {
      const before = reader.current().lines[0]!;
      reader.pageBack();
      await reader.find("", 0, 1, AbortSignal.abort()); // waits for the paging
      const { lines, shift } = reader.current();
      const place = lines.indexOf(before);
      expect(place).toBeGreaterThan(0);
      expect(Number(lines[place - 1]!.split(" ")[1])).toBe(Number(before.split(" ")[1]) - 1);
      expect(shift === 0 || shift === place).toBe(true);
    }
    expect(reader.current().lines[0]).toContain("line 0 ");
  });

  it("finds a line far away in either direction", async () => {
    const log = new ServedLog();
    log.text = `${numbered(20_000)}NEEDLE\n${numbered(20_000)}`;
    const reader = new LogReader(log.read);
    await reader.toEnd();
    const never = new AbortController().signal;
    expect(await reader.find("needle", reader.current().lines.length - 1, -1, never)).toBe(true);
    expect(reader.current().lines[reader.current().target!.line]).toBe("NEEDLE");
    expect(await reader.find("needle", reader.current().target!.line + 1, 1, never)).toBe(false);
    await reader.toBeginning();
    expect(await reader.find("needle", 0, 1, never)).toBe(true);
  });

  it("says what is wrong when it cannot read, and goes on later", async () => {
    const log = new ServedLog();
    log.text = "one\n";
    let isAway = true;
    const reader = new LogReader((place) => (isAway ? Promise.reject(new Error("away")) : log.read(place)));
    await reader.toEnd();
    expect(reader.current().fault).toBe("away");
    isAway = false;
    await reader.toEnd();
    expect(reader.current()).toMatchObject({ fault: null, lines: ["one"] });
  });
});
