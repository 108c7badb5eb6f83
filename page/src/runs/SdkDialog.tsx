/** Python SDK code of the pipeline, to be copied. */

import { useEffect, useState } from "react";

import { api } from "../api/client";
import { useStore } from "../state/store";
import { CopyButton } from "./CopyButton";
import { RunDialogFrame } from "./RunDialogFrame";

export function SdkDialog() {
  const path = useStore((state) => state.path);
  const [code, setCode] = useState<string | null>(null);
  const [problem, setProblem] = useState("");
  useEffect(() => {
    if (path === null) return;
    api.sdk(path).then(
      (found) => {
        setCode(found.code);
        setProblem(found.problem);
      },
      (error: unknown) => setProblem(String(error)),
    );
  }, [path]);
  return (
    <RunDialogFrame title="Python SDK code" isWide>
      {problem === "" ? (
        <>
          <p className="quiet">Builds the same pipeline with azure-ai-ml; it can be submitted from a script or a notebook.</p>
          <pre className="run-code" tabIndex={0} aria-label="Code">
            {code ?? "Loading"}
          </pre>
          <footer>
            <CopyButton text={code ?? ""} />
          </footer>
        </>
      ) : (
        <>
          <p>There is no Python code for this pipeline; it runs and is submitted as YAML.</p>
          <p className="run-problem" role="alert">
            {problem}
          </p>
        </>
      )}
    </RunDialogFrame>
  );
}
