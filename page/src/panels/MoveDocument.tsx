/** Another name for the file of the open pipeline, or its end. */

import { useState } from "react";

import { Dialog } from "../shared/Dialog";
import { plural } from "../shared/words";
import { problemText } from "../state/noticeSlice";
import { useStore } from "../state/store";

export function MoveDocument() {
  const dialog = useStore((state) => state.dialog);
  const path = useStore((state) => state.path);
  const close = (): void => useStore.getState().openDialog(null);
  const isRename = dialog === "rename-document";
  const title = isRename ? "Rename this pipeline" : "Delete this pipeline";
  return (
    <Dialog title={title} isOpen={path !== null && (isRename || dialog === "delete-document")} onClose={close}>
      {isRename ? <RenameForm path={path ?? ""} close={close} /> : <DeleteForm path={path ?? ""} close={close} />}
    </Dialog>
  );
}

interface Props { path: string; close: () => void }

function RenameForm({ path, close }: Props) {
  const folder = path.slice(0, path.lastIndexOf("/") + 1);
  const [name, setName] = useState(path.slice(folder.length));
  const wanted = /\.ya?ml$/i.test(name.trim()) || name.trim() === "" ? name.trim() : `${name.trim()}.yaml`;
  const { problem, attempt } = useAttempt(close);
  return (
    <form
      className="dialog-body stack"
      onSubmit={(event) => {
        event.preventDefault();
        if (wanted !== "") void attempt(() => useStore.getState().rename(folder + wanted));
      }}
    >
      <label>
        Name of the file{folder === "" ? "" : ` in ${folder}`}
        <input
          value={name}
          onChange={(event) => setName(event.target.value)}
          onFocus={(event) => event.target.setSelectionRange(0, name.lastIndexOf(".") < 0 ? name.length : name.lastIndexOf("."))}
          spellCheck={false}
          aria-describedby="move-problem"
        />
      </label>
      <p className="quiet">Its versions, undo and runs go with it.</p>
      <Problem text={problem} />
      <Actions close={close} label="Rename" isDisabled={wanted === ""} />
    </form>
  );
}

function DeleteForm({ path, close }: Props) {
  const numRuns = useStore((state) => state.runs.filter((run) => run.document === path).length);
  const { problem, attempt } = useAttempt(close);
  const remove = async (): Promise<void> => {
    await useStore.getState().remove();
    requestAnimationFrame(() => document.querySelector<HTMLElement>(".welcome h1")?.focus());
  };
  return (
    <form
      className="dialog-body stack"
      onSubmit={(event) => {
        event.preventDefault();
        void attempt(remove);
      }}
    >
      <p>
        The file <strong>{path}</strong> is removed from this folder. Its text and its versions are kept: the start page
        brings it back.
      </p>
      {numRuns > 0 && <p className="quiet">{plural(numRuns, "run")} of it and the results stay as they are.</p>}
      <Problem text={problem} />
      <Actions close={close} label="Delete" />
    </form>
  );
}

/** Do it and close the dialog; where it is refused, the dialog stays and says why. */
function useAttempt(close: () => void): { problem: string; attempt: (perform: () => Promise<void>) => Promise<void> } {
  const [problem, setProblem] = useState("");
  const attempt = async (perform: () => Promise<void>): Promise<void> => {
    setProblem("");
    try {
      await perform();
      close();
    } catch (error) {
      setProblem(problemText(error));
    }
  };
  return { problem, attempt };
}

function Problem({ text }: { text: string }) {
  return (
    <p id="move-problem" className="bad" role="alert">
      {text}
    </p>
  );
}

function Actions({ close, label, isDisabled = false }: { close: () => void; label: string; isDisabled?: boolean }) {
  return (
    <div className="row dialog-actions">
      <button type="button" onClick={close}>
        Cancel
      </button>
      <button type="submit" className="primary" disabled={isDisabled}>
        {label}
      </button>
    </div>
  );
}
