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

export const noticeSlice: Slice<NoticeSlice> = (set) => ({
  notice: null,
  announcement: "",
  notify: (message, action) =>
    set({ notice: { kind: "information", message, advice: "", ...(action === undefined ? {} : { action }) } }),
  report: (error) => {
    const { message, advice } = error instanceof RequestError ? error.error : { message: String(error), advice: "" };
    set({ notice: { kind: "error", message, advice } });
  },
  announce: (announcement) => set({ announcement }),
  dismissNotice: () => set({ notice: null }),
});
