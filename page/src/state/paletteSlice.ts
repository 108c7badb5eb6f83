/** The components and data that can be added, and what changed in them since the page was opened. */

import { api } from "../api/client";
import type { Component, Palette } from "../api/types";
import { listed } from "../shared/words";
import type { Slice } from "./store";

export interface PaletteSlice {
  palette: Palette;
  components: Record<string, Component>;
  /** What changed in a component, in words, by its reference. */
  updates: Record<string, string>;
  /** Folders of data, as the open document names them. */
  dataFolders: string[];
  loadDataFolders: () => Promise<void>;
  loadPalette: () => Promise<void>;
}

export const paletteSlice: Slice<PaletteSlice> = (set, get) => ({
  palette: { categories: [] },
  components: {},
  updates: {},
  dataFolders: [],
  loadDataFolders: async () => {
    const { path } = get();
    if (path === null) return;
    try {
      const { folders } = await api.dataFolders(path);
      if (get().path === path) set({ dataFolders: folders });
    } catch {
      set({ dataFolders: [] }); // they are an offer: any path can be typed
    }
  },
  loadPalette: async () => {
    try {
      const palette = await api.palette();
      const all = palette.categories.flatMap((category) => category.components);
      const components = Object.fromEntries(all.map((component) => [component.reference, component]));
      const before = get().components;
      const changes = all.flatMap((component) => {
        const old = before[component.reference];
        const change = old === undefined ? null : changeOf(old, component);
        return change === null ? [] : [[component.reference, change]];
      });
      set({ palette, components, updates: { ...get().updates, ...Object.fromEntries(changes) } });
    } catch (error) {
      get().report(error);
    }
  },
});

/** What is new and what is gone between two states of a component, or null. */
export function changeOf(old: Component, now: Component): string | null {
  const facts = (["inputs", "parameters", "outputs"] as const).flatMap((kind) => {
    const [before, after] = [new Set(old[kind].map(({ name }) => name)), new Set(now[kind].map(({ name }) => name))];
    const added = [...after].filter((name) => !before.has(name));
    const gone = [...before].filter((name) => !after.has(name));
    return [
      ...(added.length === 0 ? [] : [`new ${kind}: ${listed(added)}`]),
      ...(gone.length === 0 ? [] : [`${kind} that are gone: ${listed(gone)}`]),
    ];
  });
  if (old.version !== now.version) facts.unshift(`version ${now.version} instead of ${old.version}`);
  return facts.length === 0 ? null : `The component changed: ${facts.join("; ")}.`;
}
