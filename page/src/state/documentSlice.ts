/**
 * The document: what the server has confirmed, the gestures that are on their way to it, and what is shown, which is
 * the one with the others applied. Gestures are sent one after the other, each on the version that the one before made.
 * While an earlier run is looked at, its pipeline is shown instead, and nothing can be edited.
 */

import { api, RequestError } from "../api/client";
import type { Document, Edit } from "../api/types";
import { applyEdits } from "../editing/applyEdits";
import { freePath } from "../shared/words";
import type { Slice, State } from "./store";
import { withUnchanged } from "./unchanged";

/** One thing that a person did: one request, one step of undo. */
interface Gesture {
  label: string;
  edits: Edit[];
  send: (path: string, version: string) => Promise<Document>;
}
type Attempt = Pick<Gesture, "label" | "edits">;
/** A gesture that the file, changed by hand meanwhile, has no place for, and those that waited behind it. */
export interface Conflict extends Attempt { message: string; behind: Attempt[] }

export interface DocumentSlice {
  path: string | null;
  confirmed: Document | null;
  document: Document | null;
  waiting: Gesture[];
  conflict: Conflict | null;
  /** The pipeline of the run that is looked at, shown in place of the document. */
  past: Document | null;
  showPast: (past: Document | null) => void;
  open: (path: string) => Promise<void>;
  /** Throws where it is refused. */
  create: (path: string, template: string, text?: string) => Promise<void>;
  /** Give the file another name, with its history and runs. Throws where it is refused. */
  rename: (to: string) => Promise<void>;
  /** Delete the file; it can be brought back. Throws where it is refused. */
  remove: () => Promise<void>;
  /** Close the document if it is the one that was deleted, here or in another tab, and offer to bring it back. */
  leaveRemoved: (path: string, id: string) => void;
  bringBack: (id: string, path: string) => Promise<void>;
  /** Whether the file was removed by hand, or renamed; it may come back. */
  isGone: boolean;
  writeAgain: () => Promise<void>;
  /** Grows each time that a document is opened, and not when its file gets another name. */
  opening: number;
  /** What Ctrl Z brings back on the start page. */
  lastRemoved: { id: string; path: string } | null;
  close: () => void;
  /** Shown at once, then sent; resolves to whether the file has it. */
  edit: (label: string, edits: Edit[]) => Promise<boolean>;
  undo: () => Promise<boolean>;
  redo: () => Promise<boolean>;
  restore: (id: string) => Promise<boolean>;
  putText: (text: string) => Promise<boolean>;
  /** Take what the file is now, for example after a change by hand. */
  reload: () => Promise<void>;
  /** Send what waits, after the server was away. */
  resume: () => Promise<void>;
  settleConflict: (isTriedAgain: boolean) => void;
}

export const documentSlice: Slice<DocumentSlice> = (set, get) => {
  let sending: Promise<void> | null = null;
  const outcomes = new WeakMap<Gesture, (isDone: boolean) => void>();

  const show = (answer: Document | null, waiting: Gesture[]): void => {
    const confirmed = answer === null ? null : withUnchanged(get().confirmed, answer);
    const edits = waiting.flatMap((gesture) => gesture.edits);
    set({
      confirmed,
      waiting,
      ...(confirmed === null ? {} : { path: confirmed.path }), // it may have been renamed elsewhere
      document: confirmed === null ? null : (get().past ?? applyEdits(confirmed, edits, get().components)),
    });
  };
  const finish = (gesture: Gesture, confirmed: Document | null, isDone: boolean): void => {
    show(confirmed, get().waiting.filter((other) => other !== gesture));
    if (isDone) set({ isGone: false });
    outcomes.get(gesture)?.(isDone);
  };
  const sendOne = async (gesture: Gesture): Promise<boolean> => {
    const { path, confirmed } = get();
    if (path === null || confirmed === null) return false;
    try {
      finish(gesture, await gesture.send(path, confirmed.version), true);
      set({ isConnected: true });
    } catch (error) {
      if (!(error instanceof RequestError)) throw error;
      if (error.status === 0) {
        set({ isConnected: false });
        return false;
      }
      const isConflict = error.status === 409 && error.document !== null;
      if (isConflict) {
        // What waits was made on what this gesture would have made of the document: a person decides about all of it.
        const [{ label, edits }, ...behind] = get().waiting as [Gesture, ...Gesture[]];
        for (const other of behind) outcomes.get(other)?.(false);
        set({ waiting: [gesture], conflict: { label, edits, message: error.error.message, behind } });
      } else get().report(error);
      finish(gesture, error.document ?? get().confirmed, false);
    }
    return true;
  };
  const sendAll = async (): Promise<void> => {
    // What is done in between is sent by this loop, and what is done after its last look by another.
    try {
      for (let next = get().waiting[0]; next !== undefined; next = get().waiting[0]) {
        if (!(await sendOne(next))) return;
      }
    } finally {
      sending = null;
    }
  };
  const flush = (): Promise<void> => {
    if (sending === null && get().waiting.length > 0) sending = sendAll();
    return sending ?? Promise.resolve();
  };
  const enqueue = (gesture: Gesture): Promise<boolean> => {
    const { past, notify } = get();
    if (past !== null) {
      notify(past.read_only ?? "");
      return Promise.resolve(false);
    }
    const outcome = new Promise<boolean>((resolve) => outcomes.set(gesture, resolve));
    show(get().confirmed, [...get().waiting, gesture]);
    void flush();
    return outcome;
  };
  const take = (path: string, document: Document): void => {
    set({ path, opening: get().opening + 1, isGone: false, ...nothingElse });
    show(document, []);
  };

  return {
    path: null,
    confirmed: null,
    document: null,
    waiting: [],
    conflict: null,
    past: null,
    isGone: false,
    opening: 0,
    lastRemoved: null,
    showPast: (past) => {
      set({ past, ...emptySelection });
      show(get().confirmed, get().waiting);
    },
    open: async (path) => {
      try {
        take(path, await api.document(path));
      } catch (error) {
        get().report(error);
      }
    },
    create: async (path, template, text) => {
      const document = await api.create(path, template, text);
      take(document.path, document);
      await get().loadProject();
    },
    rename: async (to) => {
      await flush(); // what waits goes with the file
      const { path } = get();
      if (path === null) return;
      show(await api.rename(path, to), get().waiting);
      get().announce(`Renamed to ${to}.`);
      await get().loadProject();
    },
    remove: async () => {
      await flush(); // what is on the screen is what can be brought back
      const { path, confirmed } = get();
      if (path === null || confirmed === null) return;
      try {
        const { id } = await api.remove(path, confirmed.version);
        get().leaveRemoved(path, id);
      } catch (error) {
        if (error instanceof RequestError && error.error.reason === "conflict") await get().reload();
        throw error;
      }
      await get().loadProject();
    },
    leaveRemoved: (path, id) => {
      if (get().path !== path) return;
      set({ lastRemoved: { id, path } });
      get().close();
      get().notify(`${path} was deleted.`, { label: "Bring back", perform: () => void get().bringBack(id, path) });
    },
    bringBack: async (id, path) => {
      get().dismissNotice();
      try {
        const isTaken = get().project?.documents.some((other) => other.path === path) === true;
        const document = await api.bringBack(id, isTaken ? freePath(path, get().project?.documents ?? []) : undefined);
        set({ lastRemoved: null });
        take(document.path, document);
        get().announce(`${document.path} is back.`);
      } catch (error) {
        get().report(error);
      }
      await get().loadProject();
    },
    close: () => {
      set({ path: null, ...nothingElse });
      show(null, []);
    },
    edit: (label, edits) =>
      enqueue({ label, edits, send: (path, version) => api.edit(path, version, label, edits) }),
    undo: () => enqueue({ label: "Undo", edits: [], send: api.undo }),
    redo: () => enqueue({ label: "Redo", edits: [], send: api.redo }),
    restore: (id) =>
      enqueue({ label: "Restore", edits: [], send: (path, version) => api.restore(path, version, id) }),
    putText: (text) =>
      enqueue({ label: "Edit text", edits: [], send: (path, version) => api.putText(path, version, text) }),
    reload: async () => {
      const { path } = get();
      if (path === null || get().waiting.length > 0) return;
      try {
        const document = await api.document(path);
        if (get().path !== path || get().waiting.length > 0) return;
        show(document, []);
        set({ isGone: false });
      } catch (error) {
        if (!(error instanceof RequestError) || error.error.reason !== "no_document") return get().report(error);
        if (get().path !== path || get().isGone) return;
        set({ isGone: true });
        const action = { label: "Write it again", perform: () => void get().writeAgain() };
        get().notify(`${path} is not in the folder any more: it was removed or renamed by hand.`, action);
      }
    },
    writeAgain: async () => {
      const { path } = get();
      get().dismissNotice();
      if (path === null) return;
      try {
        const document = await api.writeAgain(path);
        if (get().path === path) show(document, get().waiting);
        set({ isGone: false });
      } catch (error) {
        get().report(error);
      }
      await get().loadProject();
    },
    resume: () => flush(),
    settleConflict: (isTriedAgain) => {
      const { conflict } = get();
      set({ conflict: null });
      if (!isTriedAgain || conflict === null) return;
      for (const { label, edits } of repeatable(conflict)) void get().edit(label, edits);
    },
  };
};

const emptySelection: Partial<State> = { selected: [], selectedLinks: [], linking: null, replacing: null };
const nothingElse: Partial<State> = { ...emptySelection, conflict: null, past: null, isLookingBack: false };

/** What of a conflict can be done again on the file as it is now: an undo, for example, would undo something else. */
export function repeatable(conflict: Conflict): Attempt[] {
  return [conflict, ...conflict.behind].filter(({ edits }) => edits.length > 0);
}

/** What the indicator beside the name says. */
export function savingState(state: State): "saved" | "saving" | "offline" | "gone" {
  if (!state.isConnected) return "offline";
  if (state.isGone) return "gone";
  return state.waiting.length > 0 ? "saving" : "saved";
}
