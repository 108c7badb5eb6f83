/** Turning the pages of a preview. */

import { useRef } from "react";

import { countText } from "../runs/wording";

/** The part of the data that is shown. */
export interface PageOf {
  offset?: number;
  class?: string;
}

interface Props {
  page: PageOf;
  /** How many there are on this page. */
  count: number;
  next: number | null;
  noun: string;
  onPage: (page: PageOf) => void;
}

export function Pages({ page, count, next, noun, onPage }: Props) {
  const offset = page.offset ?? 0;
  const earlier = useRef<number[]>([]);
  while (earlier.current.length > 0 && earlier.current.at(-1)! >= offset) earlier.current.pop();
  if (next === null && offset === 0) return null;
  const turn = (to: number): void => {
    if (to > offset) earlier.current.push(offset);
    onPage({ ...page, offset: to });
  };
  return (
    <nav className="look-pages" aria-label="Pages">
      <button type="button" disabled={offset === 0} onClick={() => turn(earlier.current.at(-1) ?? 0)}>
        Earlier
      </button>
      <span className="quiet" role="status">
        {noun}s {countText(offset + 1)} to {countText(offset + count)}
      </span>
      <button type="button" disabled={next === null} onClick={() => next !== null && turn(next)}>
        Later
      </button>
    </nav>
  );
}
