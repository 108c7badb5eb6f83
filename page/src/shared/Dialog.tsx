/** A modal dialog with a title; the browser keeps the focus in it and Escape closes it. */

import { useEffect, useRef, type ReactNode } from "react";

import { Icon } from "./Icon";

interface Props {
  title: string;
  isOpen: boolean;
  onClose: () => void;
  children: ReactNode;
}

export function Dialog({ title, isOpen, onClose, children }: Props) {
  const element = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (isOpen && element.current?.open === false) {
      element.current.showModal();
      // The browser would choose the button that closes.
      element.current.querySelector<HTMLElement>("input, textarea, select, button.primary")?.focus();
    }
    if (!isOpen) element.current?.close();
  }, [isOpen]);
  return (
    <dialog
      ref={element}
      aria-label={title}
      onClose={onClose}
      onClick={(event) => event.target === element.current && onClose()}
    >
      {isOpen && (
        <div className="dialog">
          <div className="dialog-title">
            <h2>{title}</h2>
            <button type="button" className="icon" aria-label="Close" onClick={onClose}>
              <Icon name="close" />
            </button>
          </div>
          {children}
        </div>
      )}
    </dialog>
  );
}
