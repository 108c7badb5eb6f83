/** The menu of the nodes that are selected, at the pointer or below the button of a card. */

import { useEffect, useRef } from "react";

import { allCommands } from "../editing/allCommands";
import { isEnabled, perform, shownKeys } from "../editing/commands";
import { onMenuKey } from "../shared/Menu";
import { useStore } from "../state/store";
import { focusCard } from "./flowAccess";

const ROOM = 8;

export function NodeMenu() {
  const at = useStore((state) => state.nodeMenu);
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (at === null || list.current === null) return;
    const { width, height } = list.current.getBoundingClientRect();
    list.current.style.left = `${Math.max(ROOM, Math.min(at.x, window.innerWidth - width - ROOM))}px`;
    list.current.style.top = `${Math.max(ROOM, Math.min(at.y, window.innerHeight - height - ROOM))}px`;
    list.current.querySelector<HTMLElement>("[role=menuitem]:not(:disabled)")?.focus();
    const onPointerDown = (event: PointerEvent): void => {
      if (!list.current?.contains(event.target as Element)) useStore.getState().openNodeMenu(null);
    };
    window.addEventListener("pointerdown", onPointerDown, true);
    return () => window.removeEventListener("pointerdown", onPointerDown, true);
  }, [at]);
  if (at === null) return null;
  const state = useStore.getState();
  const close = (): void => {
    const [first] = useStore.getState().selected;
    useStore.getState().openNodeMenu(null);
    if (first !== undefined) focusCard(first);
  };
  return (
    <div
      ref={list}
      className="menu node-menu"
      role="menu"
      aria-label={`Menu of ${state.selected.join(", ")}`}
      onKeyDown={(event) => onMenuKey(event, close)}
    >
      {allCommands()
        .filter((command) => command.isForNodes === true)
        .map((command) => (
          <button
            key={command.id}
            type="button"
            role="menuitem"
            tabIndex={-1}
            disabled={!isEnabled(command, state)}
            onClick={() => {
              state.openNodeMenu(null);
              perform(command);
            }}
          >
            {command.title}
            {command.keys?.[0] !== undefined && <kbd>{shownKeys(command.keys[0])}</kbd>}
          </button>
        ))}
    </div>
  );
}
