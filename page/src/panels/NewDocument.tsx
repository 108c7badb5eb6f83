/** A new pipeline: its file, and what it starts with. */

import { useState } from "react";

import { Dialog } from "../shared/Dialog";
import { useStore, type State } from "../state/store";

export function NewDocument() {
  const isOpen = useStore((state) => state.dialog === "new-document");
  const close = (): void => useStore.getState().openDialog(null);
  return (
    <Dialog title="New pipeline" isOpen={isOpen} onClose={close}>
      <Form close={close} />
    </Dialog>
  );
}

function Form({ close }: { close: () => void }) {
  const templates = useStore((state) => state.project?.templates ?? []);
  const [path, setPath] = useState(() => freePath("pipeline", useStore.getState()));
  const [template, setTemplate] = useState(templates[0]?.id ?? "empty");
  const [imported, setImported] = useState("");
  const create = async (): Promise<void> => {
    close();
    await useStore.getState().create(path.trim(), template, imported.trim() === "" ? undefined : imported);
  };
  return (
    <form
      className="dialog-body stack"
      onSubmit={(event) => {
        event.preventDefault();
        void create();
      }}
    >
      <label>
        File
        <input value={path} onChange={(event) => setPath(event.target.value)} spellCheck={false} />
      </label>
      <label>
        Starts with
        <select value={template} onChange={(event) => setTemplate(event.target.value)} disabled={imported.trim() !== ""}>
          {templates.map(({ id, name }) => (
            <option key={id} value={id}>
              {name}
            </option>
          ))}
        </select>
      </label>
      <details>
        <summary>Or with a YAML that exists</summary>
        <textarea
          aria-label="YAML of a pipeline"
          rows={6}
          className="mono"
          spellCheck={false}
          value={imported}
          onChange={(event) => setImported(event.target.value)}
        />
      </details>
      <div className="row dialog-actions">
        <button type="button" onClick={close}>
          Cancel
        </button>
        <button type="submit" className="primary" disabled={path.trim() === ""}>
          Create
        </button>
      </div>
    </form>
  );
}

/** A file name that no document of the project has. */
export function freePath(stem: string, state: Pick<State, "project">): string {
  const taken = new Set(state.project?.documents.map((document) => document.path));
  let path = `${stem}.yaml`;
  for (let number = 2; taken.has(path); number += 1) path = `${stem}-${number}.yaml`;
  return path;
}
