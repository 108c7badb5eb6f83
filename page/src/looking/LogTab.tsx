/** Log of a node, of each of its processes, with the error that ended it. */

import "./looking.css";

import { useCallback, useEffect, useState } from "react";

import { api } from "../api/client";
import { onServerEvent } from "../api/events";
import type { NodeState } from "../api/types";
import { useStore } from "../state/store";
import { hasEnded } from "../runs/states";
import { ErrorCard } from "./ErrorCard";
import { LogLinesView } from "./LogLinesView";
import { LogReader } from "./logReader";
import { errorLine } from "./logWindow";
import { NodeChoice } from "./NodeChoice";
import { nothingText, useLookedAt } from "./useLookedAt";

export function LogTab() {
  const { node } = useLookedAt();
  const run = useStore((state) => state.run?.run ?? null);
  const nothing = useStore((all) => nothingText(all, "Logs"));
  const state = useStore((all) => (node === null ? undefined : all.run?.nodes[node]));
  if (run === null || node === null || state === undefined) {
    return <p className="look-empty">{nothing}</p>;
  }
  return <NodeLog key={`${run} ${node}`} run={run} node={node} state={state} />;
}

function NodeLog({ run, node, state }: { run: string; node: string; state: NodeState }) {
  const [chosen, setChosen] = useState<string | null>(null);
  const files = state.log_files;
  const file = chosen !== null && files.includes(chosen) ? chosen : (files[0] ?? null);
  const reader = useLogReader(run, node, file, state);
  const showError = useCallback(() => {
    const { error } = state;
    if (error !== null) void reader?.toError((lines) => errorLine(lines, error));
  }, [reader, state]);
  return (
    <div className="look-tab">
      <div className="look-bar">
        <NodeChoice />
        {files.length > 1 && (
          <select aria-label="Process" className="look-choice" value={file ?? ""} onChange={(event) => setChosen(event.target.value)}>
            {files.map((name) => (
              <option key={name} value={name}>
                {processName(name)}
              </option>
            ))}
          </select>
        )}
      </div>
      <ErrorCard node={node} state={state} onShow={showError} />
      {reader === null ? (
        <p className="look-empty">{emptyText(state)}</p>
      ) : (
        <LogLinesView reader={reader} label={`Log of ${node}, ${processName(file ?? "")}`} />
      )}
    </div>
  );
}

/** A reader of the file that is shown: at the error of a node that has failed, else at the end. */
function useLogReader(run: string, node: string, file: string | null, state: NodeState): LogReader | null {
  const [reader, setReader] = useState<LogReader | null>(null);
  const isEnded = hasEnded(state.state);
  const hasError = state.error !== null;
  useEffect(() => {
    if (file === null) {
      setReader(null);
      return;
    }
    const opened = new LogReader((place) => api.log(run, node, file, place));
    setReader(opened);
    const { error } = useStore.getState().run?.nodes[node] ?? { error: null };
    if (error === null) void opened.toEnd();
    else void opened.toError((lines) => errorLine(lines, error));
    const stop = onServerEvent("log", (event) => {
      if (event.run === run && event.node === node && event.file === file) opened.grew(event.size);
    });
    return () => {
      stop();
      opened.close();
    };
    // `hasError`: the log of a node that fails while it is watched is shown at its error.
  }, [run, node, file, hasError]);
  useEffect(() => {
    if (isEnded && !hasError) reader?.refresh(); // the last lines, of which no event may tell
  }, [isEnded, hasError, reader]);
  return reader;
}

function processName(file: string): string {
  const number = /process_0*(\d+)/.exec(file)?.[1];
  return number === undefined ? file.replace(/\.txt$/, "") : `process ${number}`;
}

function emptyText(state: NodeState): string {
  switch (state.state) {
    case "reused":
      return "The result was reused, so nothing was printed.";
    case "waiting":
      return "It has not started yet.";
    case "running":
      return "It has printed nothing yet.";
    default:
      return "It has no log.";
  }
}
