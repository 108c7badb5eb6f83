/** A change that met another one, made by hand to the same place: nothing is overwritten, a person decides. */

import { Dialog } from "../shared/Dialog";
import { plural } from "../shared/words";
import { repeatable } from "../state/documentSlice";
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
          {conflict.behind.length > 0 && (
            <>
              <p>{plural(conflict.behind.length, "gesture")} that waited behind it {conflict.behind.length === 1 ? "was" : "were"} not done either:</p>
              <ul className="conflict-behind">
                {conflict.behind.map(({ label }, at) => (
                  <li key={at}>{label}</li>
                ))}
              </ul>
            </>
          )}
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
            {repeatable(conflict).length > 0 && (
              <button type="button" className="primary" onClick={() => settleConflict(true)}>
                {conflict.behind.length === 0 ? "Do it all the same" : "Do them all the same"}
              </button>
            )}
          </div>
        </div>
      )}
    </Dialog>
  );
}
