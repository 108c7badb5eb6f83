/** Earlier versions of the document: to name one, and to go back to one. */

import { useEffect, useState } from "react";

import { api } from "../api/client";
import type { Version } from "../api/types";
import { clockText } from "../runs/wording";
import { Dialog } from "../shared/Dialog";
import { useStore } from "../state/store";

export function Versions() {
  const isOpen = useStore((state) => state.dialog === "versions");
  const close = (): void => useStore.getState().openDialog(null);
  return (
    <Dialog title="Versions of this pipeline" isOpen={isOpen} onClose={close}>
      <List close={close} />
    </Dialog>
  );
}

function List({ close }: { close: () => void }) {
  const path = useStore((state) => state.path);
  const now = useStore((state) => state.confirmed?.version);
  const isEarlier = useStore((state) => state.past !== null);
  const [versions, setVersions] = useState<Version[]>([]);
  const [name, setName] = useState("");
  const load = async (): Promise<void> => {
    if (path === null) return;
    try {
      setVersions((await api.versions(path)).versions);
    } catch (error) {
      useStore.getState().report(error);
    }
  };
  useEffect(() => void load(), [path]);
  const keep = async (): Promise<void> => {
    if (path === null || name.trim() === "") return;
    try {
      await api.nameVersion(path, name.trim());
      useStore.getState().notify(`This version is kept as “${name.trim()}”.`);
      close();
    } catch (error) {
      useStore.getState().report(error);
    }
  };
  return (
    <div className="dialog-body stack">
      <form
        className="row"
        onSubmit={(event) => {
          event.preventDefault();
          void keep();
        }}
      >
        <input
          aria-label="Name of this version"
          placeholder="Name of this version"
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <button type="submit" className="primary" disabled={name.trim() === ""}>
          Keep
        </button>
      </form>
      <p className="quiet small">Every change is in the file already. A name makes a version easy to find.</p>
      <ul className="versions" tabIndex={0} aria-label="Versions">
        {versions.map((version) => (
          <li key={version.id} className="row">
            <span className="quiet small version-time">{clockText(version.time)}</span>
            <span className="grow cut">
              {version.name !== undefined && version.name !== null && <strong>{version.name} </strong>}
              {version.label}
            </span>
            <button
              type="button"
              aria-label={`Restore ${version.name ?? version.label}, ${clockText(version.time)}`}
              disabled={isEarlier || version.version === now}
              title={isEarlier ? "An earlier run is shown: go back to now first." : ""}
              onClick={() => {
                close();
                void useStore.getState().restore(version.id);
              }}
            >
              {version.version === now ? "Now" : "Restore"}
            </button>
          </li>
        ))}
      </ul>
      {versions.length === 0 && <p className="quiet">There is no earlier version yet.</p>}
    </div>
  );
}
