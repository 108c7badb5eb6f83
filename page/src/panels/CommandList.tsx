/** The list of all commands, pipelines and nodes, by typing (Ctrl K). */

import { useId, useMemo, useState, type KeyboardEvent } from "react";

import type { Node } from "../api/types";
import { afterDrawing, focusCard, reveal } from "../canvas/flowAccess";
import { allCommands } from "../editing/allCommands";
import { isShown, problemOf, shownKeys } from "../editing/commands";
import { addComponent, middlePlace } from "../editing/adding";
import { Dialog } from "../shared/Dialog";
import { selectedNodes } from "../state/selectionSlice";
import { useStore, type State } from "../state/store";

interface Entry { key: string; title: string; group: string; keys: string; /** Why it would be refused. */ problem?: string; perform: () => void }
const MAX_SHOWN = 60;

export function CommandList() {
  const isOpen = useStore((state) => state.dialog === "commands");
  const close = (): void => useStore.getState().openDialog(null);
  return (
    <Dialog title="Commands" isOpen={isOpen} onClose={close}>
      <List close={close} />
    </Dialog>
  );
}

function List({ close }: { close: () => void }) {
  const [text, setText] = useState("");
  const [index, setIndex] = useState(0);
  const id = useId();
  const entries = useMemo(() => entriesOf(useStore.getState()), []);
  const wanted = text.toLowerCase();
  const words = wanted.split(/\s+/);
  const begins = ({ title }: Entry): number => Number(title.toLowerCase().startsWith(wanted));
  const found = entries
    .filter(({ title, group }) => words.every((word) => `${group} ${title}`.toLowerCase().includes(word)))
    .sort((a, b) => begins(b) - begins(a))
    .slice(0, MAX_SHOWN);
  const take = (entry: Entry | undefined): void => {
    if (entry === undefined) return;
    if ((entry.problem ?? "") !== "") return useStore.getState().announce(entry.problem ?? "");
    close();
    // The dialog gives the focus back when it closes; the command may move it.
    window.setTimeout(entry.perform);
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    if (event.key === "ArrowDown") setIndex(Math.min(index + 1, found.length - 1));
    else if (event.key === "ArrowUp") setIndex(Math.max(index - 1, 0));
    else if (event.key === "Enter") take(found[index]);
    else return;
    event.preventDefault();
  };
  return (
    <div className="command-list">
      <input
        role="combobox"
        aria-expanded="true"
        aria-controls={id}
        aria-label="Command, node or pipeline"
        placeholder="Type a command, a node, a component"
        {...(found[index] === undefined ? {} : { "aria-activedescendant": `${id}-${index}` })}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setIndex(0);
        }}
        onKeyDown={onKeyDown}
      />
      <div role="listbox" id={id} aria-label="Commands" className="choices" tabIndex={-1}>
        {found.map((entry, at) => (
          <div
            key={entry.key}
            id={`${id}-${at}`}
            role="option"
            aria-selected={at === index}
            aria-disabled={(entry.problem ?? "") !== ""}
            className="choice command"
            ref={at === index ? (element) => element?.scrollIntoView({ block: "nearest" }) : null}
            onPointerMove={() => setIndex(at)}
            onClick={() => take(entry)}
          >
            <span className="quiet small command-group">{entry.group}</span>
            <span className="grow cut">
              {entry.title} {(entry.problem ?? "") !== "" && <small className="quiet">{entry.problem}</small>}
            </span>
            {entry.keys !== "" && <kbd className="for-wide">{entry.keys}</kbd>}
          </div>
        ))}
      </div>
      {found.length === 0 && <p className="no-choice quiet">Nothing is called that.</p>}
    </div>
  );
}

function entriesOf(state: State): Entry[] {
  const commands = allCommands()
    .filter((command) => isShown(command, state))
    .map((command) => ({
      key: command.id,
      title: command.title,
      group: command.group,
      keys: command.keys?.[0] === undefined ? "" : shownKeys(command.keys[0]),
      problem: problemOf(command, state),
      perform: () => void command.perform(useStore.getState()),
    }));
  const nodes = (state.document?.nodes ?? []).map(({ name }) => ({
    key: `node ${name}`,
    title: name,
    group: "Go to",
    keys: "",
    perform: () => {
      useStore.getState().select([name]);
      focusCard(name);
    },
  }));
  const selected = selectedNodes(state);
  const isSelected = ({ name }: Node): boolean => selected.length === 1 && selected[0] === name;
  const allNodes = state.document?.nodes ?? [];
  const fields = allNodes.filter(isSelected).flatMap((node) => fieldsOf(node, (name) => name));
  const fieldsElsewhere = allNodes
    .filter((node) => !isSelected(node))
    .flatMap((node) => fieldsOf(node, (name) => `${node.name}: ${name}`));
  const components = state.document === null ? [] : Object.values(state.components).filter(({ fault }) => fault === null);
  const added = components.map((component) => ({
    key: `add ${component.reference}`,
    title: component.display_name,
    group: "Add",
    keys: "",
    perform: () => addComponent(component, middlePlace()),
  }));
  const documents = (state.project?.documents ?? []).map(({ path }) => ({
    key: `open ${path}`,
    title: path,
    group: "Open",
    keys: "",
    perform: () => void useStore.getState().open(path),
  }));
  return [...commands, ...fields, ...nodes, ...added, ...documents, ...fieldsElsewhere];
}

/** The parameters and inputs of a node, each of which is gone to. */
function fieldsOf(node: Node, titleOf: (name: string) => string): Entry[] {
  return [...(node.component?.parameters ?? []), ...(node.component?.inputs ?? [])].map(({ name }) => ({
    key: `set ${node.name} ${name}`,
    title: titleOf(name),
    group: "Set",
    keys: "",
    perform: () => focusField(node.name, name),
  }));
}

function focusField(node: string, name: string): void {
  const { selected, select, openSidePanel } = useStore.getState();
  if (selected.length !== 1 || selected[0] !== node) select([node]);
  openSidePanel("details");
  reveal(node);
  afterDrawing(() => {
    const field = `.details [data-field="${CSS.escape(name)}"] :is(input, select, textarea):not(.source-select *)`;
    const found = document.querySelector<HTMLElement>(field);
    found?.closest("details")?.setAttribute("open", "");
    found?.focus();
    if (found instanceof HTMLInputElement) found.select();
  });
}
