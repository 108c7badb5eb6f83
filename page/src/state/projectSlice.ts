/** The folder that is worked in, and its documents. */

import { api } from "../api/client";
import type { Project } from "../api/types";
import type { Slice } from "./store";

export interface ProjectSlice {
  project: Project | null;
  /** Whether the server answers; while it does not, edits wait. */
  isConnected: boolean;
  loadProject: () => Promise<void>;
  setConnected: (isConnected: boolean) => void;
}

export const projectSlice: Slice<ProjectSlice> = (set, get) => ({
  project: null,
  isConnected: true,
  loadProject: async () => {
    try {
      set({ project: await api.project() });
    } catch (error) {
      get().report(error);
    }
  },
  setConnected: (isConnected) => set({ isConnected }),
});
