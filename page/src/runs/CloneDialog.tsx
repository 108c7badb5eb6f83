/** A new pipeline file with the text that a run had. */

import { useState } from "react";

import { api, RequestError } from "../api/client";
import { freePath } from "../shared/words";
import { useStore } from "../state/store";
import { RunDialogFrame } from "./RunDialogFrame";

export function CloneDialog({ run }: { run: string }) {
  const summary = useStore((state) => state.runs.find((other) => other.run === run));
  const documents = useStore((state) => state.project?.documents);
  const close = useStore((state) => state.openRunDialog);
  const [path, setPath] = useState(() => freePath(summary?.document ?? "pipeline.yaml", documents ?? []));
  const [problem, setProblem] = useState("");
  const clone = async (): Promise<void> => {
    try {
      const document = await api.clone(run, path.trim());
      const { loadProject, open } = useStore.getState();
      await loadProject();
      await open(document.path);
      close(null);
    } catch (error) {
      setProblem(error instanceof RequestError ? `${error.error.message} ${error.error.advice}` : String(error));
    }
  };
  return (
    <RunDialogFrame title="Clone the pipeline of this run" onSubmit={() => void clone()}>
      <p className="quiet">A new file with the pipeline as it was run; the present one stays as it is.</p>
      <div className="run-fields">
        <label>
          Name of the new file
          <input value={path} onChange={(event) => setPath(event.target.value)} aria-describedby="run-clone-problem" />
        </label>
        <p id="run-clone-problem" className="run-problem" role="status">
          {problem}
        </p>
      </div>
      <footer>
        <button type="submit" className="primary" aria-disabled={path.trim() === ""}>
          Clone
        </button>
      </footer>
    </RunDialogFrame>
  );
}
