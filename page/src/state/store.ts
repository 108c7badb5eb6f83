/** The state of the page, in one store: one slice for each thing that changes by itself. */

import { create, type StateCreator } from "zustand";

import { runsSlice, type RunsSlice } from "../runs/runsSlice";
import { documentSlice, type DocumentSlice } from "./documentSlice";
import { drawerSlice, type DrawerSlice } from "./drawerSlice";
import { noticeSlice, type NoticeSlice } from "./noticeSlice";
import { paletteSlice, type PaletteSlice } from "./paletteSlice";
import { projectSlice, type ProjectSlice } from "./projectSlice";
import { selectionSlice, type SelectionSlice } from "./selectionSlice";
import { viewSlice, type ViewSlice } from "./viewSlice";

export type State = ProjectSlice &
  PaletteSlice &
  DocumentSlice &
  SelectionSlice &
  RunsSlice &
  DrawerSlice &
  NoticeSlice &
  ViewSlice;
export type Slice<Part> = StateCreator<State, [], [], Part>;

export const useStore = create<State>()((...store) => ({
  ...projectSlice(...store),
  ...paletteSlice(...store),
  ...documentSlice(...store),
  ...selectionSlice(...store),
  ...runsSlice(...store),
  ...drawerSlice(...store),
  ...noticeSlice(...store),
  ...viewSlice(...store),
}));
