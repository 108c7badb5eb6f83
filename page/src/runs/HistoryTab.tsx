/** History: the runs of this folder, to be searched, looked at, compared and cloned. */

import { useState } from "react";

import type { RunSummary } from "../api/types";
import { useStore } from "../state/store";
import { lookOf } from "./states";
import { StateIcon } from "./StateIcon";
import { useNow } from "./useNow";
import { clockText, counted, durationText, elapsedText } from "./wording";

export function HistoryTab() {
  const runs = useStore((state) => state.runs);
  const path = useStore((state) => state.path);
  const compare = useStore((state) => state.compare);
  const [search, setSearch] = useState("");
  const [isOfThis, setOfThis] = useState(false);
  const [chosen, setChosen] = useState<string[]>([]);
  const found = runs.filter((run) => isFound(run, search) && (!isOfThis || run.document === path));
  const choose = (run: string): void =>
    setChosen(chosen.includes(run) ? chosen.filter((other) => other !== run) : [...chosen, run].slice(-2));
  // The older of the two is A, so that changes read forward.
  const pair = runs.filter((run) => chosen.includes(run.run)).sort((one, other) => one.started - other.started);
  return (
    <div className="look-tab">
      <div className="look-bar">
        <input
          type="search"
          placeholder="Search runs"
          aria-label="Search runs by name, state, file or error"
          value={search}
          onChange={(event) => setSearch(event.target.value)}
        />
        <label className="look-check">
          <input type="checkbox" checked={isOfThis} onChange={(event) => setOfThis(event.target.checked)} /> this pipeline
          only
        </label>
        <span className="quiet" role="status">
          {counted(found.length, "run")}
        </span>
        <button
          type="button"
          className="look-end"
          disabled={pair.length !== 2}
          title={pair.length === 2 ? "" : "Choose two runs"}
          onClick={() => compare(pair[0]!.run, pair[1]!.run)}
        >
          Compare the two chosen
        </button>
      </div>
      {found.length === 0 ? (
        <p className="look-empty">{runs.length === 0 ? "Nothing has been run in this folder yet." : "No run is like this."}</p>
      ) : (
        <div className="look-scroll" tabIndex={0} role="region" aria-label="Runs">
          <table className="look-table look-runs">
            <thead>
              <tr>
                <th>
                  <span className="hidden-text">Compare</span>
                </th>
                <th>Started</th>
                <th>State</th>
                <th>Pipeline</th>
                <th className="look-number">Duration</th>
                <th className="look-number">Nodes</th>
                <th>
                  <span className="hidden-text">Actions</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {found.map((run) => (
                <Row key={run.run} run={run} isChosen={chosen.includes(run.run)} onChoose={() => choose(run.run)} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </div>
  );
}

function Row({ run, isChosen, onChoose }: { run: RunSummary; isChosen: boolean; onChoose: () => void }) {
  const isShown = useStore((state) => state.run?.run === run.run);
  const lookBackAt = useStore((state) => state.lookBackAt);
  const openRunDialog = useStore((state) => state.openRunDialog);
  const isRunning = run.state === "running";
  const now = useNow(isRunning);
  const time = clockText(run.started);
  return (
    <tr data-shown={isShown}>
      <td>
        <input type="checkbox" aria-label={`Compare the run of ${time}`} checked={isChosen} onChange={onChoose} />
      </td>
      <td>
        <button type="button" className="run-link" onClick={() => void lookBackAt(run.run)} aria-current={isShown}>
          {time}
        </button>
      </td>
      <td>
        <span className="look-state" data-tone={lookOf(run.state).tone}>
          <StateIcon state={run.state} /> {lookOf(run.state).word}
        </span>
        {run.error !== null && <small className="look-error">{run.error}</small>}
      </td>
      <td>
        {run.name}
        <small>{run.document}</small>
      </td>
      <td className="look-number">
        {run.seconds !== null ? durationText(run.seconds) : isRunning ? elapsedText(now - run.started) : "–"}
      </td>
      <td className="look-number">
        {run.num_nodes}
        {run.num_reused > 0 && <small>{run.num_reused} reused</small>}
      </td>
      <td className="look-actions">
        <button type="button" onClick={() => void lookBackAt(run.run)} aria-label={`Look at the run of ${time}`}>
          Look
        </button>
        <button
          type="button"
          onClick={() => openRunDialog({ kind: "clone", run: run.run })}
          aria-label={`Clone the pipeline of the run of ${time}`}
        >
          Clone
        </button>
      </td>
    </tr>
  );
}

function isFound(run: RunSummary, search: string): boolean {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean);
  const text = [run.name, run.state, run.document, run.error, run.run, clockText(run.started)].join(" ").toLowerCase();
  return words.every((word) => text.includes(word));
}
