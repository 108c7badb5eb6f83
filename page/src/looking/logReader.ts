/**
 * Reader of one log file, by offset: the end while it grows, other parts as they are scrolled to.
 *
 * A log may grow faster than anybody can read. The end is read at most a few times a second, and what would not fit
 * into the window is left out: it is read when somebody scrolls there.
 */

import type { LogPlace, LogText } from "../api/types";
import {
  appended,
  EMPTY_WINDOW,
  findLine,
  linesOf,
  type LogLines,
  type LogWindow,
  MAX_WINDOW_BYTES,
  prepended,
  windowEnd,
  windowStart,
} from "./logWindow";

export type ReadLog = (place: LogPlace) => Promise<LogText>;

const PART_BYTES = 1 << 16;
const SEARCH_BYTES = 1 << 20;
const TAIL_BYTES = 1 << 18;
const PAUSE_MILLISECONDS = 150;

export interface LogView extends LogLines {
  start: number;
  end: number;
  size: number;
  ended: boolean;
  isFollowing: boolean;
  /** How many lines were put before those that were there, or taken away (negative), by the last change. */
  shift: number;
  /** A line to be shown, and a number that changes with each such wish. */
  target: { line: number; wish: number } | null;
  fault: string | null;
}

export class LogReader {
  private window: LogWindow = EMPTY_WINDOW;
  private view: LogView = {
    lines: [],
    starts: [],
    start: 0,
    end: 0,
    size: 0,
    ended: false,
    isFollowing: true,
    shift: 0,
    target: null,
    fault: null,
  };
  private listeners = new Set<() => void>();
  private queue: Promise<void> = Promise.resolve();
  private timer: ReturnType<typeof setTimeout> | null = null;
  private isClosed = false;
  private isPaging = false;
  private wishes = 0;

  constructor(private readonly read: ReadLog) {}

  readonly subscribe = (listener: () => void): (() => void) => {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  };

  readonly current = (): LogView => this.view;

  close(): void {
    this.isClosed = true;
    if (this.timer !== null) clearTimeout(this.timer);
  }

  /** The file has grown to a size: read on if the end is followed. Several calls make one reading. */
  grew(size: number): void {
    if (size > this.window.size) this.window = { ...this.window, size };
    this.refresh();
  }

  /** Read on if the end is followed. */
  refresh(): void {
    if (this.timer !== null || this.isClosed) return;
    this.timer = setTimeout(() => {
      this.timer = null;
      if (this.view.isFollowing) void this.enqueue(() => this.readTail());
      else this.show({ size: this.window.size });
    }, PAUSE_MILLISECONDS);
  }

  /** Show the end and follow it. */
  toEnd(): Promise<void> {
    this.show({ isFollowing: true, target: null });
    return this.enqueue(() => this.readTail());
  }

  toBeginning(): Promise<void> {
    return this.enqueue(() => this.jump({ offset: 0, limit: PART_BYTES }, () => 0));
  }

  /** Show the place of an error: near the end of the log. */
  toError(find: (lines: readonly string[]) => number): Promise<void> {
    return this.enqueue(() => this.jump({ offset: -TAIL_BYTES, limit: TAIL_BYTES }, find));
  }

  /** Stop following, as when somebody scrolls up. */
  hold(): void {
    if (this.view.isFollowing) this.show({ isFollowing: false });
  }

  pageBack(): void {
    if (windowStart(this.window) > 0) this.page(() => this.readBefore());
  }

  pageForward(): void {
    if (windowEnd(this.window) < this.window.size) this.page(() => this.readAfter());
  }

  /** The next line with a text; resolves to whether there is one. Reads on where the window ends. */
  async find(text: string, from: number, step: 1 | -1, signal: AbortSignal): Promise<boolean> {
    let isFound = false;
    await this.enqueue(async () => {
      this.show({ isFollowing: false });
      let line = findLine(this.view.lines, text, from, step);
      while (line < 0 && !signal.aborted && !this.isClosed) {
        const hasMore = step === 1 ? windowEnd(this.window) < this.window.size : windowStart(this.window) > 0;
        if (!hasMore) return;
        const before = this.window;
        const part = await this.read(
          step === 1
            ? { offset: windowEnd(before), limit: SEARCH_BYTES }
            : { before: windowStart(before), limit: SEARCH_BYTES },
        );
        if (part.next_offset === part.offset) return;
        this.window = { parts: [part], size: part.size };
        const { lines } = linesOf(this.window);
        line = findLine(lines, text, step === 1 ? 0 : lines.length - 1, step);
      }
      if (line < 0) return;
      isFound = true;
      this.showLine(line);
    });
    return isFound;
  }

  private page(action: () => Promise<void>): void {
    if (this.isPaging) return;
    this.isPaging = true;
    void this.enqueue(action).finally(() => (this.isPaging = false));
  }

  private async readTail(): Promise<void> {
    for (let isBehind = true; isBehind && !this.isClosed && this.view.isFollowing; ) {
      const end = windowEnd(this.window);
      const isFar = this.window.parts.length === 0 || this.window.size - end > MAX_WINDOW_BYTES / 2;
      const part = await this.read(
        isFar ? { offset: -TAIL_BYTES, limit: TAIL_BYTES } : { offset: end, limit: TAIL_BYTES },
      );
      this.append(part);
      isBehind = part.next_offset > part.offset && part.next_offset < part.size && part.size - part.next_offset > PART_BYTES;
    }
  }

  private async readBefore(): Promise<void> {
    const part = await this.read({ before: windowStart(this.window), limit: PART_BYTES });
    const numLines = linesOf({ parts: [part], size: 0 }).lines.length;
    this.window = prepended(this.window, part, part.size);
    this.show({ isFollowing: false, ended: part.ended, shift: numLines });
  }

  private async readAfter(): Promise<void> {
    const part = await this.read({ offset: windowEnd(this.window), limit: PART_BYTES });
    this.append(part);
  }

  private async jump(place: LogPlace, find: (lines: readonly string[]) => number): Promise<void> {
    const part = await this.read(place);
    this.window = { parts: part.next_offset > part.offset ? [part] : [], size: part.size };
    this.show({ isFollowing: false, ended: part.ended, fault: null });
    this.showLine(find(this.view.lines));
  }

  private append(part: LogText): void {
    const before = this.window.parts;
    this.window = appended(this.window, part, part.size);
    const numGone = before.indexOf(this.window.parts[0]!);
    const linesGone = numGone < 0 ? this.view.lines.length : this.view.starts[numGone]!;
    this.show({ ended: part.ended, fault: null, shift: before.length === 0 ? 0 : -linesGone });
  }

  private showLine(line: number): void {
    this.wishes += 1;
    this.show({ target: { line, wish: this.wishes } });
  }

  private show(change: Partial<LogView>): void {
    if (this.isClosed) return;
    this.view = {
      ...this.view,
      shift: 0,
      ...linesOf(this.window),
      start: windowStart(this.window),
      end: windowEnd(this.window),
      size: this.window.size,
      ...change,
    };
    for (const listener of this.listeners) listener();
  }

  private enqueue(action: () => Promise<void>): Promise<void> {
    this.queue = this.queue.then(async () => {
      if (this.isClosed) return;
      try {
        await action();
      } catch (error) {
        this.show({ fault: error instanceof Error ? error.message : String(error) });
      }
    });
    return this.queue;
  }
}
