/** Menu below a button, for mouse and keyboard. */

import { type KeyboardEvent, type RefObject, useEffect, useRef } from "react";

export type MenuItem =
  | { label: string; hint?: string; /** Why it cannot be chosen now; empty: it can. */ disabled?: string; perform: () => void }
  | "separator";

interface Props {
  items: MenuItem[];
  label: string;
  anchor: RefObject<HTMLElement | null>;
  onClose: () => void;
}

export function Menu({ items, label, anchor, onClose }: Props) {
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    list.current?.querySelector<HTMLElement>("[role=menuitem]")?.focus();
    const close = (event: PointerEvent): void => {
      const target = event.target as Node;
      if (!list.current?.contains(target) && !anchor.current?.contains(target)) onClose();
    };
    window.addEventListener("pointerdown", close);
    return () => window.removeEventListener("pointerdown", close);
  }, [anchor, onClose]);
  const onKeyDown = (event: KeyboardEvent): void => {
    const all = [...(list.current?.querySelectorAll<HTMLElement>("[role=menuitem]") ?? [])];
    const place = all.indexOf(document.activeElement as HTMLElement);
    const next = { ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: all.length - 1 }[event.key];
    if (next !== undefined) all.at(next % all.length)?.focus();
    else if (event.key === "Escape" || event.key === "Tab") {
      onClose();
      anchor.current?.focus();
    } else return;
    if (event.key !== "Tab") event.preventDefault();
    event.stopPropagation();
  };
  return (
    <div className="menu run-menu" role="menu" aria-label={label} ref={list} onKeyDown={onKeyDown}>
      {items.map((item, index) =>
        item === "separator" ? (
          <hr key={index} />
        ) : (
          <button
            key={item.label}
            type="button"
            role="menuitem"
            tabIndex={-1}
            aria-disabled={(item.disabled ?? "") !== ""}
            onClick={() => {
              if ((item.disabled ?? "") !== "") return;
              onClose();
              anchor.current?.focus();
              item.perform();
            }}
          >
            <span>{item.label}</span>
            <small>{item.disabled || item.hint}</small>
          </button>
        ),
      )}
    </div>
  );
}
