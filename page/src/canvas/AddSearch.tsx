/** The search at the cursor: type, choose, and the component is there, linked to the port that was dragged from, or between those of a link. */

import { useEffect, useId, useMemo, useRef, useState, type KeyboardEvent } from "react";

import type { Component } from "../api/types";
import { addComponent, addInputFor, addOutputFor, choices, type Choice } from "../editing/adding";
import { inputName, portAt, type PortEnd } from "../editing/linkRules";
import { hueOf } from "../shared/colors";
import { useStore, type State } from "../state/store";
import { canvasElement } from "./flowAccess";

const WIDTH = 340;
const HEIGHT = 380;

export function AddSearch() {
  const adding = useStore((state) => state.adding);
  return adding === null ? null : <Search key={`${adding.at.x} ${adding.at.y}`} adding={adding} />;
}

function Search({ adding }: { adding: NonNullable<State["adding"]> }) {
  const [text, setText] = useState(adding.text);
  const [index, setIndex] = useState(0);
  const components = useStore((state) => state.components);
  const document = useStore((state) => state.document);
  const whole = useRef<HTMLDivElement>(null);
  const id = useId();
  const { fitting } = adding;
  const found = useMemo(() => {
    const fit = fitting.flatMap((end) => {
      const port = document === null ? null : portAt(document, end);
      return port === null ? [] : [{ port, side: end.side }];
    });
    return [...choices(Object.values(components), text, fit), ...pipelineChoices(fitting, text)];
  }, [components, document, fitting, text]);
  const close = (): void => useStore.getState().setAdding(null);
  useEffect(() => {
    const onPointerDown = (event: PointerEvent): void => {
      if (!whole.current?.contains(event.target as Element)) close();
    };
    window.addEventListener("pointerdown", onPointerDown, true);
    return () => window.removeEventListener("pointerdown", onPointerDown, true);
  }, []);
  const take = (choice: Choice | undefined): void => {
    if (choice === undefined) return;
    close();
    if (choice.component !== null) addComponent(choice.component, adding.place, fitting);
    else if (fitting[0] !== undefined) (fitting[0].side === "input" ? addInputFor : addOutputFor)(fitting[0]);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "ArrowDown") setIndex(Math.min(index + 1, found.length - 1));
    else if (event.key === "ArrowUp") setIndex(Math.max(index - 1, 0));
    else if (event.key === "Enter") take(found[index]);
    else if (event.key === "Escape" || event.key === "Tab") {
      close();
      canvasElement()?.focus();
    } else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const left = Math.max(8, Math.min(adding.at.x, window.innerWidth - WIDTH - 8));
  const top = Math.max(8, Math.min(adding.at.y, window.innerHeight - HEIGHT - 8));
  return (
    <div className="add-search" ref={whole} style={{ left, top }} role="dialog" aria-label="Add a component">
      <input
        autoFocus
        role="combobox"
        aria-expanded="true"
        aria-controls={id}
        aria-autocomplete="list"
        aria-label="Component to add"
        {...(found[index] === undefined ? {} : { "aria-activedescendant": `${id}-${index}` })}
        placeholder={fitting.length === 0 ? "Add a component" : `Add what fits ${fitting.map(({ port }) => port).join(" and ")}`}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setIndex(0);
        }}
        onKeyDown={onKeyDown}
      />
      <div role="listbox" id={id} aria-label="Components" className="choices">
        {found.map((choice, at) => (
          <Option
            key={choice.key}
            id={`${id}-${at}`}
            choice={choice}
            isSelected={at === index}
            onHover={() => setIndex(at)}
            onTake={() => take(choice)}
          />
        ))}
      </div>
      {found.length === 0 && <p className="no-choice quiet">Nothing fits.</p>}
    </div>
  );
}

interface OptionProps {
  id: string;
  choice: Choice;
  isSelected: boolean;
  onHover: () => void;
  onTake: () => void;
}

function Option({ id, choice, isSelected, onHover, onTake }: OptionProps) {
  const element = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (isSelected) element.current?.scrollIntoView({ block: "nearest" });
  }, [isSelected]);
  return (
    <div
      ref={element}
      id={id}
      role="option"
      aria-selected={isSelected}
      className={`choice hue-${hueOf(choice.category)}`}
      onPointerMove={onHover}
      onClick={onTake}
    >
      <div className="choice-title cut">{choice.title}</div>
      <div className="cut quiet small">{choice.port === null ? choice.description : `through ${choice.port}`}</div>
    </div>
  );
}

/** What else fits a port: an input or an output of the pipeline itself. */
function pipelineChoices([end, ...others]: PortEnd[], text: string): Choice[] {
  if (end === undefined || others.length > 0 || inputName(end.node) !== null) return [];
  const title = end.side === "input" ? "New pipeline input" : "New pipeline output";
  if (!title.toLowerCase().includes(text.toLowerCase().trim())) return [];
  const description = end.side === "input" ? "Data that is given with each run." : "Kept as a result of the pipeline.";
  const component: Component | null = null;
  return [{ key: title, title, description, category: "", component, port: null }];
}
