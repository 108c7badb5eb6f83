/** Lines of a log: only those in view are in the page, however long the log is. */

import { type KeyboardEvent, useEffect, useLayoutEffect, useMemo, useRef, useState, useSyncExternalStore } from "react";

import { sizeText } from "../runs/wording";
import type { LogReader } from "./logReader";
import { LogSearch, marked } from "./LogSearch";
import { wrapped } from "./logWindow";

const ROW_PIXELS = 18;
const SPARE_ROWS = 12;
const NEAR_PIXELS = 400;
const PADDING_PIXELS = 24;

export function LogLinesView({ reader, label }: { reader: LogReader; label: string }) {
  const view = useSyncExternalStore(reader.subscribe, reader.current);
  const box = useRef<HTMLDivElement>(null);
  const [isWrapped, setWrapped] = useState(true);
  const [text, setText] = useState("");
  const { first, count, columns } = useVisibleRows(box);
  const { rows, lineOfRow } = useMemo(
    () => wrapped(view.lines, isWrapped ? columns : Infinity),
    [view.lines, isWrapped, columns],
  );
  const before = useRef(lineOfRow);

  useLayoutEffect(() => {
    const element = box.current;
    if (element === null) return;
    if (view.isFollowing) element.scrollTop = element.scrollHeight;
    else if (view.shift > 0) element.scrollTop += rowOfLine(lineOfRow, view.shift) * ROW_PIXELS;
    else if (view.shift < 0) element.scrollTop -= rowOfLine(before.current, -view.shift) * ROW_PIXELS;
    before.current = lineOfRow;
    // Only a change of the window moves what is in view.
  }, [view]);
  useLayoutEffect(() => {
    const element = box.current;
    if (element === null || view.target === null) return;
    const top = rowOfLine(lineOfRow, view.target.line) * ROW_PIXELS;
    element.scrollTop = top - Math.min(element.clientHeight / 3, 5 * ROW_PIXELS);
  }, [view.target]);

  const onScroll = (): void => {
    const element = box.current;
    if (element === null) return;
    const below = element.scrollHeight - element.clientHeight - element.scrollTop;
    if (view.isFollowing && below > 2 * ROW_PIXELS) reader.hold();
    else if (!view.isFollowing && below < 1 && view.end >= view.size && !view.ended) void reader.toEnd();
    if (element.scrollTop < NEAR_PIXELS) reader.pageBack();
    else if (!view.isFollowing && below < NEAR_PIXELS) reader.pageForward();
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "Home") void reader.toBeginning();
    else if (event.key === "End") void reader.toEnd();
    else if (event.key === "f" && (event.ctrlKey || event.metaKey)) {
      box.current?.parentElement?.querySelector<HTMLElement>("input[type=search]")?.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const from = Math.max(first - SPARE_ROWS, 0);
  const shown = rows.slice(from, first + count + SPARE_ROWS);
  const line = view.target?.line ?? -1;
  return (
    <div className="look-log" onKeyDown={onKeyDown}>
      <div className="look-bar look-log-bar">
        <LogSearch
          text={text}
          onText={setText}
          find={(step, signal) => {
            const start = line >= 0 ? line + step : (lineOfRow[step === 1 ? first : first + count - 1] ?? lineOfRow.length - 1);
            return reader.find(text, start, step, signal);
          }}
        />
        <label className="look-check">
          <input type="checkbox" checked={isWrapped} onChange={(event) => setWrapped(event.target.checked)} /> wrap
        </label>
        <label className="look-check" title="Show new lines as they come (End)">
          <input
            type="checkbox"
            checked={view.isFollowing}
            onChange={(event) => (event.target.checked ? void reader.toEnd() : reader.hold())}
          />
          follow
        </label>
        <button type="button" onClick={() => void reader.toBeginning()} title="Home">
          Beginning
        </button>
        <button type="button" onClick={() => void reader.toEnd()} title="End">
          End
        </button>
        <span className="quiet small">{placeText(view)}</span>
      </div>
      {view.fault !== null && <p className="run-problem">{view.fault}</p>}
      <div
        className="look-lines"
        ref={box}
        tabIndex={0}
        role="region"
        aria-label={label}
        data-wrapped={isWrapped}
        onScroll={onScroll}
      >
        <div className="look-height" style={{ height: rows.length * ROW_PIXELS }}>
          <div className="look-rows" style={{ transform: `translateY(${from * ROW_PIXELS}px)` }}>
            {shown.map((row, index) => (
              <div key={from + index} className="look-row" data-target={lineOfRow[from + index] === line}>
                {marked(row, text)}
              </div>
            ))}
          </div>
        </div>
      </div>
    </div>
  );
}

function placeText(view: { start: number; end: number; size: number; isFollowing: boolean }): string {
  if (view.size === 0) return "";
  if (view.start === 0 && view.end >= view.size) return sizeText(view.size);
  const new_ = !view.isFollowing && view.size > view.end ? ` · ${sizeText(view.size - view.end)} below` : "";
  return `${sizeText(view.start)} to ${sizeText(view.end)} of ${sizeText(view.size)}${new_}`;
}

/** The first row of a line. */
function rowOfLine(lineOfRow: readonly number[], line: number): number {
  let [low, high] = [0, lineOfRow.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (lineOfRow[middle]! < line) low = middle + 1;
    else high = middle;
  }
  return low;
}

function useVisibleRows(box: { current: HTMLDivElement | null }): { first: number; count: number; columns: number } {
  const [seen, setSeen] = useState({ first: 0, count: 40, columns: 120 });
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const probe = document.createElement("span");
    probe.className = "look-probe";
    probe.textContent = "0".repeat(100);
    element.append(probe);
    const width = probe.getBoundingClientRect().width / 100 || 7;
    probe.remove();
    const look = (): void => {
      const next = {
        first: Math.floor(element.scrollTop / ROW_PIXELS),
        count: Math.ceil(element.clientHeight / ROW_PIXELS) + 1,
        columns: Math.max(Math.floor((element.clientWidth - PADDING_PIXELS) / width), 20),
      };
      setSeen((old) =>
        old.first === next.first && old.count === next.count && old.columns === next.columns ? old : next,
      );
    };
    look();
    element.addEventListener("scroll", look, { passive: true });
    const observer = new ResizeObserver(look);
    observer.observe(element);
    return () => {
      element.removeEventListener("scroll", look);
      observer.disconnect();
    };
  }, [box]);
  return seen;
}
