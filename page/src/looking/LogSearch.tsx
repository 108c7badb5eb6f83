/** Search in a log: down with Enter, up with Shift and Enter, through the whole file. */

import { type KeyboardEvent, type ReactNode, useRef, useState } from "react";

interface Props {
  text: string;
  onText: (text: string) => void;
  find: (step: 1 | -1, signal: AbortSignal) => Promise<boolean>;
}

export function LogSearch({ text, onText, find }: Props) {
  const [said, setSaid] = useState("");
  const search = useRef<AbortController | null>(null);
  const start = async (step: 1 | -1): Promise<void> => {
    search.current?.abort();
    if (text === "") return;
    const control = new AbortController();
    search.current = control;
    const slow = window.setTimeout(() => setSaid("Searching"), 300);
    const isFound = await find(step, control.signal);
    window.clearTimeout(slow);
    if (!control.signal.aborted) setSaid(isFound ? "" : step === 1 ? "Not found below" : "Not found above");
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "Enter") void start(event.shiftKey ? -1 : 1);
    else if (event.key === "Escape" && text !== "") onText("");
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <>
      <input
        type="search"
        className="look-search"
        placeholder="Search the log"
        aria-label="Search the log"
        value={text}
        onChange={(event) => {
          search.current?.abort();
          setSaid("");
          onText(event.target.value);
        }}
        onKeyDown={onKeyDown}
      />
      <button type="button" className="icon" aria-label="Search up" title="Shift Enter" onClick={() => void start(-1)}>
        ↑
      </button>
      <button type="button" className="icon" aria-label="Search down" title="Enter" onClick={() => void start(1)}>
        ↓
      </button>
      <span className="quiet small" role="status">
        {said}
      </span>
    </>
  );
}

/** A row with the places of a text marked. */
export function marked(row: string, text: string): ReactNode {
  if (text === "") return row === "" ? " " : row;
  const lower = row.toLowerCase();
  const wanted = text.toLowerCase();
  const parts: ReactNode[] = [];
  let end = 0;
  for (let start = lower.indexOf(wanted); start >= 0; start = lower.indexOf(wanted, end)) {
    parts.push(row.slice(end, start), <mark key={start}>{row.slice(start, start + wanted.length)}</mark>);
    end = start + wanted.length;
  }
  return parts.length === 0 ? row || " " : [...parts, row.slice(end)];
}
