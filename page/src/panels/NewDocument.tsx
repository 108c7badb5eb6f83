/** A new pipeline: its file, and what it starts with; or a copy of the one that is open. */

import { useState } from "react";

import { api } from "../api/client";
import { Dialog } from "../shared/Dialog";
import { freePath as copyPath } from "../shared/words";
import { problemText } from "../state/noticeSlice";
import { useStore, type State } from "../state/store";

export function NewDocument() {
  const dialog = useStore((state) => state.dialog);
  const isCopy = dialog === "copy-document";
  const close = (): void => useStore.getState().openDialog(null);
  return (
    <Dialog title={isCopy ? "Copy of this pipeline" : "New pipeline"} isOpen={isCopy || dialog === "new-document"} onClose={close}>
      <Form isCopy={isCopy} close={close} />
    </Dialog>
  );
}

function Form({ isCopy, close }: { isCopy: boolean; close: () => void }) {
  const templates = useStore((state) => state.project?.templates ?? []);
  const open = useStore((state) => state.path);
  const [path, setPath] = useState(() => {
    const { project } = useStore.getState();
    return isCopy && open !== null ? copyPath(open, project?.documents ?? []) : freePath("pipeline", { project });
  });
  const [template, setTemplate] = useState(templates[0]?.id ?? "empty");
  const [imported, setImported] = useState("");
  const [problem, setProblem] = useState("");
  const create = async (): Promise<void> => {
    const { create: make, resume } = useStore.getState();
    setProblem("");
    try {
      await resume(); // what is on the screen is copied: edits that wait are sent before
      const text = isCopy && open !== null ? await api.text(open) : imported;
      await make(path.trim(), template, text.trim() === "" ? undefined : text);
      close();
    } catch (error) {
      setProblem(problemText(error)); // what was typed stays
    }
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
        <input
          value={path}
          onChange={(event) => setPath(event.target.value)}
          spellCheck={false}
          aria-describedby="new-document-problem"
        />
      </label>
      <p id="new-document-problem" className="bad" role="alert">
        {problem}
      </p>
      {isCopy ? (
        <p className="quiet">A new file with the pipeline as it is now; the first one stays as it is.</p>
      ) : (
        <>
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
        </>
      )}
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
