/** The question whether a link takes the place of what a port is bound to. */

import { makeLink, shownEnd } from "../editing/linking";
import { Dialog } from "../shared/Dialog";
import { useStore } from "../state/store";

export function ReplaceLink() {
  const replacing = useStore((state) => state.replacing);
  const close = (): void => useStore.getState().setReplacing(null);
  return (
    <Dialog title="This port is taken" isOpen={replacing !== null} onClose={close}>
      {replacing !== null && (
        <div className="dialog-body stack">
          <p>
            <strong>{shownEnd(replacing.input)}</strong> takes {replacing.taken}. An input has one source.
          </p>
          <div className="row dialog-actions">
            <button type="button" onClick={close}>
              Keep it
            </button>
            <button
              type="button"
              className="primary"
              onClick={() => {
                close();
                makeLink(replacing.output, replacing.input, replacing.moved);
              }}
            >
              Replace by {shownEnd(replacing.output)}
            </button>
          </div>
        </div>
      )}
    </Dialog>
  );
}
