/** The components that can be added. */

import { api } from "../api/client";
import type { Component, Palette } from "../api/types";
import type { Slice } from "./store";

export interface PaletteSlice {
  palette: Palette;
  components: Record<string, Component>;
  loadPalette: () => Promise<void>;
}

export const paletteSlice: Slice<PaletteSlice> = (set, get) => ({
  palette: { categories: [] },
  components: {},
  loadPalette: async () => {
    try {
      const palette = await api.palette();
      const all = palette.categories.flatMap((category) => category.components);
      set({ palette, components: Object.fromEntries(all.map((component) => [component.reference, component])) });
    } catch (error) {
      get().report(error);
    }
  },
});
