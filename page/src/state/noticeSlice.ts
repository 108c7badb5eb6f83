/** What the page tells in passing: to the eye in a corner, to a screen reader by a live region. */

import { RequestError } from "../api/client";
import type { Slice } from "./store";

export interface Notice {
  kind: "information" | "error";
  message: string;
  advice: string;
  action?: { label: string; perform: () => void };
}
export interface NoticeSlice {
  notice: Notice | null;
  /** Read aloud, not shown. */
  announcement: string;
  notify: (message: string, action?: Notice["action"]) => void;
  report: (error: unknown) => void;
  announce: (announcement: string) => void;
  dismissNotice: () => void;
}

function wordsOf(error: unknown): { message: string; advice: string } {
  const { message, advice } = error instanceof RequestError ? error.error : { message: String(error), advice: "" };
  return { message, advice };
}

/** What was refused and what to do, for a dialog that stays open. */
export function problemText(error: unknown): string {
  const { message, advice } = wordsOf(error);
  return `${message} ${advice}`.trim();
}

export const noticeSlice: Slice<NoticeSlice> = (set) => ({
  notice: null,
  announcement: "",
  notify: (message, action) =>
    set({ notice: { kind: "information", message, advice: "", ...(action === undefined ? {} : { action }) } }),
  report: (error) => set({ notice: { kind: "error", ...wordsOf(error) } }),
  announce: (announcement) => set({ announcement }),
  dismissNotice: () => set({ notice: null }),
});
