/** Frame of a dialog about a run: the page behind it is out of reach, Escape closes it. */

import { type ReactNode, useEffect, useId, useRef } from "react";

import { focusFirst } from "../shared/Dialog";
import { useStore } from "../state/store";

interface Props {
  title: string;
  children: ReactNode;
  /** What is done on Enter in a field, and by the first button of the form. */
  onSubmit?: () => void;
  isWide?: boolean;
}

export function RunDialogFrame({ title, children, onSubmit, isWide = false }: Props) {
  const dialog = useRef<HTMLDialogElement>(null);
  const heading = useId();
  const close = useStore((state) => state.openRunDialog);
  useEffect(() => {
    dialog.current?.showModal();
    focusFirst(dialog.current);
  }, []);
  return (
    <dialog
      ref={dialog}
      className="run-dialog"
      data-wide={isWide}
      aria-labelledby={heading}
      onClose={() => close(null)}
      onPointerDown={(event) => event.target === dialog.current && dialog.current?.close()}
    >
      <form
        method="dialog"
        onSubmit={(event) => {
          event.preventDefault();
          onSubmit?.();
        }}
      >
        <header>
          <h2 id={heading}>{title}</h2>
          <button type="button" className="icon" aria-label="Close" onClick={() => dialog.current?.close()}>
            ✕
          </button>
        </header>
        {children}
      </form>
    </dialog>
  );
}
