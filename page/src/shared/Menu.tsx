/** A button that opens a menu of actions. Arrow keys move in it, Escape closes it. */

import { useEffect, useRef, useState, type KeyboardEvent, type ReactNode } from "react";

interface Props {
  label: string;
  /** What the button shows; its name is `label`. */
  face: ReactNode;
  className?: string;
  side?: "left" | "right";
  /** The items: buttons with the role `menuitem`. A click on one closes the menu. */
  children: ReactNode;
}

export function Menu({ label, face, className = "", side = "left", children }: Props) {
  const [isOpen, setOpen] = useState(false);
  const whole = useRef<HTMLDivElement>(null);
  const list = useRef<HTMLDivElement>(null);
  const close = (): void => {
    setOpen(false);
    whole.current?.querySelector("button")?.focus();
  };
  useEffect(() => {
    if (!isOpen) return;
    list.current?.querySelector<HTMLElement>("[role^=menuitem]:not(:disabled)")?.focus();
    const onPointerDown = (event: PointerEvent): void => {
      if (!whole.current?.contains(event.target as Element)) setOpen(false);
    };
    window.addEventListener("pointerdown", onPointerDown, true);
    return () => window.removeEventListener("pointerdown", onPointerDown, true);
  }, [isOpen]);
  return (
    <div className="menu-holder" ref={whole}>
      <button
        type="button"
        className={className}
        aria-label={label}
        title={label}
        aria-haspopup="menu"
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
      >
        {face}
      </button>
      {isOpen && (
        <div
          className="menu"
          role="menu"
          aria-label={label}
          ref={list}
          style={side === "left" ? { left: 0 } : { right: 0 }}
          onKeyDown={(event) => onMenuKey(event, close)}
          onClick={(event) => (event.target as Element).closest("[role^=menuitem]:not([aria-disabled=true])") !== null && setOpen(false)}
        >
          {children}
        </div>
      )}
    </div>
  );
}

/** Keys inside a menu; `close` is called for Escape and Tab. */
export function onMenuKey(event: KeyboardEvent<HTMLElement>, close: () => void): void {
  const items = [...event.currentTarget.querySelectorAll<HTMLElement>("[role^=menuitem]:not(:disabled)")];
  const at = items.indexOf(document.activeElement as HTMLElement);
  const goals: Record<string, number> = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: items.length - 1 };
  const goal = goals[event.key];
  if (event.key === "Escape" || event.key === "Tab") close();
  else if (goal !== undefined) items[(goal + items.length) % items.length]?.focus();
  else return;
  event.preventDefault();
  event.stopPropagation();
}
