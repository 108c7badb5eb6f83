/** A change that met another one, made by hand to the same place: nothing is overwritten, a person decides. */

import { Dialog } from "../shared/Dialog";
import { useStore } from "../state/store";

export function ConflictDialog() {
  const conflict = useStore((state) => state.conflict);
  const { settleConflict, openDrawer } = useStore.getState();
  return (
    <Dialog title="The file was changed meanwhile" isOpen={conflict !== null} onClose={() => settleConflict(false)}>
      {conflict !== null && (
        <div className="dialog-body stack">
          <p>
            <strong>{conflict.label}</strong> was not done. {conflict.message}
          </p>
          <p className="quiet">The canvas shows the file as it is now.</p>
          <div className="row dialog-actions">
            <button
              type="button"
              onClick={() => {
                settleConflict(false);
                openDrawer("text");
              }}
            >
              Show the YAML
            </button>
            <button type="button" onClick={() => settleConflict(false)}>
              Leave the file as it is
            </button>
            {conflict.edits.length > 0 && (
              <button type="button" className="primary" onClick={() => settleConflict(true)}>
                Do it all the same
              </button>
            )}
          </div>
        </div>
      )}
    </Dialog>
  );
}
