/** The menu of what is selected, or of the canvas where nothing is: at the pointer, or below the button of a card. */

import { useEffect, useRef } from "react";

import { allCommands } from "../editing/allCommands";
import { isEnabled, perform, problemOf, shownKeys, type Command } from "../editing/commands";
import { onMenuKey } from "../shared/Menu";
import { useStore, type State } from "../state/store";
import { focusCanvas } from "./flowAccess";

const ROOM = 8;

export function ContextMenu() {
  const at = useStore((state) => state.menu);
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (at === null || list.current === null) return;
    const { width, height } = list.current.getBoundingClientRect();
    list.current.style.left = `${Math.max(ROOM, Math.min(at.x, window.innerWidth - width - ROOM))}px`;
    list.current.style.top = `${Math.max(ROOM, Math.min(at.y, window.innerHeight - height - ROOM))}px`;
    list.current.querySelector<HTMLElement>("[role=menuitem]:not(:disabled)")?.focus();
    const onPointerDown = (event: PointerEvent): void => {
      if (!list.current?.contains(event.target as Element)) useStore.getState().openMenu(null);
    };
    window.addEventListener("pointerdown", onPointerDown, true);
    return () => window.removeEventListener("pointerdown", onPointerDown, true);
  }, [at]);
  if (at === null) return null;
  const state = useStore.getState();
  const close = (): void => {
    useStore.getState().openMenu(null);
    focusCanvas();
  };
  return (
    <div
      ref={list}
      className="menu node-menu"
      role="menu"
      aria-label={`Menu of ${[...state.selected, ...state.selectedLinks].join(", ") || "the canvas"}`}
      onKeyDown={(event) => onMenuKey(event, close)}
    >
      {allCommands()
        .filter((command) => isInMenu(command, state))
        .map((command) => (
          <button
            key={command.id}
            type="button"
            role="menuitem"
            tabIndex={-1}
            disabled={!isEnabled(command, state)}
            onClick={() => {
              perform(command);
              state.openMenu(null);
            }}
          >
            {command.title}
            {problemOf(command, state) !== "" && <small className="quiet">{problemOf(command, state)}</small>}
            {command.keys?.[0] !== undefined && <kbd>{shownKeys(command.keys[0])}</kbd>}
          </button>
        ))}
    </div>
  );
}

function isInMenu(command: Command, { selected, selectedLinks }: State): boolean {
  if (selected.length > 1 && command.isForSeveral === true) return true;
  if (selected.length > 0) return command.isForNodes === true;
  return (selectedLinks.length > 0 ? command.isForLinks : command.isForCanvas) === true;
}
