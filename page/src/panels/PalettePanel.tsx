/** The palette: components by category, with search. They are dragged onto the canvas, or added by a click or Enter. */

import { useMemo, useState, type KeyboardEvent } from "react";

import "./panels.css";
import type { Component } from "../api/types";
import { addComponent, middlePlace, rankOf } from "../editing/adding";
import { hueOf } from "../shared/colors";
import { PathName } from "../shared/PathName";
import { useStore } from "../state/store";
import { usePaletteDrag } from "./usePaletteDrag";

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
        {categories.length === 0 && (
          <p className="quiet small">
            {palette.categories.length === 0 ? "Components are being read." : `No component has “${text}”.`}
          </p>
        )}
        <p className="quiet small palette-foot">A component YAML that is put into this folder appears here.</p>
      </div>
      {dragged !== null && (
        <div className={`drag-ghost hue-${hueOf(dragged.component.category)}`} style={{ left: dragged.at.x, top: dragged.at.y }}>
          {dragged.component.display_name}
        </div>
      )}
    </aside>
  );
}

interface ItemProps {
  component: Component;
  /** Whether another one has the same name, so that only the file tells them apart. */
  isRepeated: boolean;
  onPointerDown: (event: React.PointerEvent, component: Component) => void;
}

function Item({ component, isRepeated, onPointerDown }: ItemProps) {
  const isBroken = component.fault !== null;
  return (
    <button
      type="button"
      className={`palette-item hue-${hueOf(component.category)}`}
      aria-disabled={isBroken}
      title={component.fault ?? component.description}
      data-reference={component.reference}
      onPointerDown={(event) => !isBroken && onPointerDown(event, component)}
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
