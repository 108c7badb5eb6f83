/** Submission to a workspace, as `pytorch-designer submit` does it, with what it prints. */

import { useEffect, useRef, useState } from "react";

import { api, RequestError } from "../api/client";
import { onServerEvent } from "../api/events";
import { useStore } from "../state/store";
import { RunDialogFrame } from "./RunDialogFrame";
import { submitProblem } from "./startProblem";

export function SubmitDialog() {
  const path = useStore((state) => state.path);
  const workspace = useStore((state) => state.project?.workspace ?? null);
  const [id, setId] = useState<string | null>(null);
  const [problem, setProblem] = useState("");
  const refusal = useStore(submitProblem);
  const hasLogin = useStore((state) => state.project?.has_login ?? true);
  const { text, hasEnded } = useSubmission(id);
  const isBlocked = refusal !== "" || (id !== null && !hasEnded);
  const submit = async (): Promise<void> => {
    if (path === null || isBlocked) return;
    setProblem("");
    try {
      const { log } = await api.submit(path);
      setId(log.slice(log.lastIndexOf("/") + 1));
    } catch (error) {
      setProblem(error instanceof RequestError ? `${error.error.message} ${error.error.advice}` : String(error));
    }
  };
  return (
    <RunDialogFrame title="Submit to Azure ML" isWide={id !== null} onSubmit={() => void submit()}>
      <p>
        Registers the components and submits <b>{path}</b> to the <b>{workspace}</b>. It runs there, on the compute that
        the nodes name.
      </p>
      {!hasLogin && (
        <p className="quiet">
          This machine has no sign of a login to Azure: run <code>az login</code> first, unless a managed identity is used.
        </p>
      )}
      {refusal !== "" && <p className="run-problem">{refusal}</p>}
      {problem !== "" && <p className="run-problem">{problem}</p>}
      {id !== null && <Output text={text} />}
      <footer>
        <span className="quiet" role="status">
          {id === null ? "" : hasEnded ? "Ended" : "Submitting"}
        </span>
        <button type="submit" className="primary" aria-disabled={isBlocked}>
          {id === null ? "Submit" : "Submit again"}
        </button>
      </footer>
    </RunDialogFrame>
  );
}

function useSubmission(id: string | null): { text: string; hasEnded: boolean } {
  const [shown, setShown] = useState({ text: "", hasEnded: false });
  const early = useRef(new Map<string, { text: string; hasEnded: boolean }>());
  const current = useRef(id);
  current.current = id;
  useEffect(
    () =>
      onServerEvent("submission", (event) => {
        const before = early.current.get(event.id) ?? { text: "", hasEnded: false };
        const after = { text: before.text + event.text, hasEnded: event.ended };
        early.current.set(event.id, after);
        if (event.id === current.current) setShown(after);
      }),
    [],
  );
  useEffect(() => {
    setShown((id === null ? undefined : early.current.get(id)) ?? { text: "", hasEnded: false });
  }, [id]);
  return shown;
}

const ADDRESS = /(https:\/\/[^\s"'<>]+)/;

function Output({ text }: { text: string }) {
  const box = useRef<HTMLPreElement>(null);
  useEffect(() => {
    if (box.current !== null) box.current.scrollTop = box.current.scrollHeight;
  }, [text]);
  return (
    <pre className="run-code" ref={box} tabIndex={0} aria-label="What the submission prints">
      {text.split(ADDRESS).map((part, index) =>
        index % 2 === 0 ? (
          part
        ) : (
          <a key={index} href={part} target="_blank" rel="noreferrer noopener">
            {part}
          </a>
        ),
      )}
    </pre>
  );
}
