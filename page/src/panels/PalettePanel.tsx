/** The palette: components by category and folders of data, dragged onto the canvas, or added by a click or Enter. */

import { useEffect, useMemo, useState, type KeyboardEvent } from "react";

import "./panels.css";
import type { Component } from "../api/types";
import { CARD_WIDTH, HEADER_HEIGHT, INPUT_HEIGHT, INPUT_WIDTH } from "../canvas/cardGeometry";
import { addComponent, addDataFolder, middlePlace, rankOf } from "../editing/adding";
import { hueOf } from "../shared/colors";
import { PathName } from "../shared/PathName";
import { useStore } from "../state/store";
import { usePaletteDrag, type Draggable } from "./usePaletteDrag";

export function PalettePanel() {
  const [text, setText] = useState("");
  const palette = useStore((state) => state.palette);
  const categories = useMemo(() => {
    const words = text.toLowerCase().split(/\s+/).filter((word) => word !== "");
    return palette.categories
      .map(({ name, components }) => ({ name, components: components.filter((each) => rankOf(each, words) !== null) }))
      .filter(({ components }) => components.length > 0);
  }, [palette, text]);
  const repeated = useMemo(() => {
    const all = palette.categories.flatMap(({ components }) => components.map((each) => each.display_name));
    return new Set(all.filter((name, at) => all.indexOf(name) !== at));
  }, [palette]);
  const folders = useDataFolders().filter((path) => path.toLowerCase().includes(text.trim().toLowerCase()));
  const { dragged, onPointerDown } = usePaletteDrag();
  return (
    <aside className="palette panel" aria-label="Components">
      <div className="palette-search">
        <input
          id="palette-search"
          type="search"
          aria-label="Search components"
          placeholder="Search components"
          value={text}
          onChange={(event) => setText(event.target.value)}
          onKeyDown={onSearchKey}
        />
      </div>
      <div className="palette-list" onKeyDown={onListKey}>
        {categories.map(({ name, components }) => (
          <section key={name} aria-label={name}>
            <h2>{lastPart(name)}</h2>
            <ul>
              {components.map((component) => (
                <li key={component.reference}>
                  <Item component={component} isRepeated={repeated.has(component.display_name)} onPointerDown={onPointerDown} />
                </li>
              ))}
            </ul>
          </section>
        ))}
        {folders.length > 0 && (
          <section aria-label="Data">
            <h2>Data</h2>
            <ul>
              {folders.map((path) => (
                <li key={path}>
                  <FolderItem path={path} onPointerDown={onPointerDown} />
                </li>
              ))}
            </ul>
          </section>
        )}
        {categories.length + folders.length === 0 && (
          <p className="quiet small">
            {palette.categories.length === 0 ? "Components are being read." : `No component has “${text}”.`}
          </p>
        )}
        <p className="quiet small palette-foot">Component YAML and data that are put into this folder appear here.</p>
      </div>
      {dragged !== null && (
        <div className={`drag-ghost hue-${dragged.item.hue}`} style={{ left: dragged.at.x, top: dragged.at.y }}>
          {dragged.item.title}
        </div>
      )}
    </aside>
  );
}

interface ItemProps {
  component: Component;
  /** Whether another one has the same name, so that only the file tells them apart. */
  isRepeated: boolean;
  onPointerDown: OnPointerDown;
}
type OnPointerDown = (event: React.PointerEvent, item: Draggable) => void;

function Item({ component, isRepeated, onPointerDown }: ItemProps) {
  const isBroken = component.fault !== null;
  const item: Draggable = {
    title: component.display_name,
    hue: hueOf(component.category),
    drop: ({ x, y }) => addComponent(component, { x: x - CARD_WIDTH / 2, y: y - HEADER_HEIGHT / 2 }, [], false),
  };
  return (
    <button
      type="button"
      className={`palette-item hue-${item.hue}`}
      aria-disabled={isBroken}
      title={component.fault ?? component.description}
      data-reference={component.reference}
      onPointerDown={(event) => !isBroken && onPointerDown(event, item)}
      onClick={() => {
        if (isBroken) useStore.getState().notify(component.fault ?? "");
        else addComponent(component, middlePlace(), [], false);
      }}
    >
      <span className="grow">
        <span className="cut">{component.display_name}</span>
        {isRepeated && component.file !== null && (
          <span className="small quiet">
            <PathName path={component.file} />
          </span>
        )}
        {isBroken && <span className="palette-fault small bad">{component.fault}</span>}
      </span>
      {!component.is_builtin && !isBroken && <span className="badge">yours</span>}
    </button>
  );
}

/** A folder of the project, which becomes an input of the pipeline. */
function FolderItem({ path, onPointerDown }: { path: string; onPointerDown: OnPointerDown }) {
  const item: Draggable = {
    title: path,
    hue: hueOf("uri_folder"),
    drop: ({ x, y }) => addDataFolder(path, { x: x - INPUT_WIDTH / 2, y: y - INPUT_HEIGHT / 2 }),
  };
  return (
    <button
      type="button"
      className={`palette-item hue-${item.hue}`}
      title={`${path}, as an input of the pipeline`}
      onPointerDown={(event) => onPointerDown(event, item)}
      onClick={() => addDataFolder(path, null)}
    >
      <PathName path={path.replace(/^\.\//, "")} />
    </button>
  );
}

/** They are looked for when a pipeline is opened, and when the browser is come back to: somebody may have copied data. */
function useDataFolders(): string[] {
  const path = useStore((state) => state.path);
  useEffect(() => {
    const load = (): void => void useStore.getState().loadDataFolders();
    load();
    window.addEventListener("focus", load);
    return () => window.removeEventListener("focus", load);
  }, [path]);
  return useStore((state) => state.dataFolders);
}

const lastPart = (category: string): string => category.split("/").at(-1) ?? category;

function onSearchKey(event: KeyboardEvent<HTMLInputElement>): void {
  const first = event.currentTarget.closest(".palette")?.querySelector<HTMLElement>(".palette-item");
  if (event.key === "ArrowDown") first?.focus();
  else if (event.key === "Enter") {
    first?.click();
    event.currentTarget.select(); // for the next one
  }
  else return;
  event.preventDefault();
}

function onListKey(event: KeyboardEvent<HTMLElement>): void {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step === undefined) return;
  const items = [...event.currentTarget.querySelectorAll<HTMLElement>(".palette-item")];
  const at = items.indexOf(document.activeElement as HTMLElement);
  if (at === 0 && step === -1) document.querySelector<HTMLElement>("#palette-search")?.focus();
  else items[at + step]?.focus();
  event.preventDefault();
}
