/** Run, cancel and state of the run, in the bar at the top. */

import { useRef, useState } from "react";

import type { RunSelection } from "../api/types";
import { useStore } from "../state/store";
import { forecastSummary } from "./forecast";
import { goToFailure } from "./goToFailure";
import { Menu, type MenuItem } from "./Menu";
import { compareProblem, startProblem, submitProblem } from "./startProblem";
import { countsOf, failedNode, lookOf } from "./states";
import { StateIcon } from "./StateIcon";
import { useNow } from "./useNow";
import { agoText, durationText, elapsedText } from "./wording";

export function RunControls() {
  const isRunning = useStore((state) => state.run?.state === "running" && !state.isLookingBack);
  return (
    <div className="run-controls" role="group" aria-label="Run">
      <Status />
      {isRunning ? <CancelButton /> : <RunButton />}
      <MoreButton />
    </div>
  );
}

function RunButton() {
  const problem = useStore(startProblem);
  const isStarting = useStore((state) => state.isStarting);
  const startRun = useStore((state) => state.startRun);
  const selected = useStore((state) => state.selected).filter((name) => !name.startsWith("input:"));
  const [isOpen, setOpen] = useState(false);
  const arrow = useRef<HTMLButtonElement>(null);
  const whose = selected.length === 1 ? selected[0] : `${selected.length} selected nodes`;
  const needsSelection = selected.length === 0 ? "Select a node first." : problem;
  const run = (label: string, hint: string, selection: RunSelection, reason: string): MenuItem => ({
    label,
    hint,
    disabled: reason,
    perform: () => void startRun(selection),
  });
  const here = selected.length === 0 ? "the selected node" : whose;
  const items: MenuItem[] = [
    run("Run what changed", "results that still hold are reused", {}, problem),
    run("Run everything", "nothing is reused", { force: true }, problem),
    "separator",
    run(`Run to ${here}`, "and all that it needs", { to: selected }, needsSelection),
    run(`Run from ${here}`, "and all that needs it", { from: selected }, needsSelection),
    run(`Run only ${here}`, "with the results that are there", { only: selected }, needsSelection),
  ];
  return (
    <div className="run-split">
      <button
        type="button"
        className="primary"
        aria-disabled={problem !== ""}
        title={problem || "Run what changed (Ctrl Enter)"}
        onClick={() => problem === "" && void startRun()}
      >
        <PlayIcon /> <span className="run-word">{isStarting ? "Starting" : "Run"}</span>
      </button>
      <button
        type="button"
        className="primary"
        ref={arrow}
        aria-label="Ways to run"
        aria-haspopup="menu"
        aria-expanded={isOpen}
        onClick={() => setOpen(!isOpen)}
      >
        <ArrowIcon />
      </button>
      {isOpen && <Menu items={items} label="Ways to run" anchor={arrow} onClose={() => setOpen(false)} />}
    </div>
  );
}

function CancelButton() {
  const cancelRun = useStore((state) => state.cancelRun);
  return (
    <button type="button" className="run-cancel" title="Cancel the run (Ctrl .)" onClick={() => void cancelRun()}>
      <svg className="run-icon" viewBox="0 0 16 16" aria-hidden="true">
        <rect x="4" y="4" width="8" height="8" rx="1" className="run-solid" />
      </svg>
      <span className="run-word">Cancel</span>
    </button>
  );
}

function MoreButton() {
  const [isOpen, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const openDrawer = useStore((state) => state.openDrawer);
  const openRunDialog = useStore((state) => state.openRunDialog);
  const workspace = useStore((state) => state.project?.workspace ?? "");
  const cannotSubmit = useStore(submitProblem);
  const cannotCompare = useStore(compareProblem);
  const hasDocument = useStore((state) => state.document !== null);
  const isLookingBack = useStore((state) => state.isLookingBack);
  const noDocument = !hasDocument ? "No pipeline is open." : isLookingBack ? "This is an earlier run." : "";
  const items: MenuItem[] = [
    { label: "History of runs", hint: "", perform: () => openDrawer("history") },
    { label: "Compare runs", hint: "", disabled: cannotCompare, perform: () => openDrawer("compare") },
    "separator",
    {
      label: "Submit to Azure ML",
      hint: workspace,
      disabled: cannotSubmit,
      perform: () => openRunDialog({ kind: "submit" }),
    },
    { label: "Python SDK code", hint: "", disabled: noDocument, perform: () => openRunDialog({ kind: "sdk" }) },
    "separator",
    notificationItem(),
  ];
  return (
    <div className="run-split">
      <button
        type="button"
        className="icon"
        ref={button}
        aria-label="More about runs"
        aria-haspopup="menu"
        aria-expanded={isOpen}
        onClick={() => {
          setOpen(!isOpen);
          if (!isOpen) void useStore.getState().loadProject(); // a workspace may be named meanwhile
        }}
      >
        <svg className="run-icon" viewBox="0 0 16 16" aria-hidden="true">
          <path d="M3.2 8h.1M8 8h.1M12.8 8h.1" className="run-dots" />
        </svg>
      </button>
      {isOpen && <Menu items={items} label="More about runs" anchor={button} onClose={() => setOpen(false)} />}
    </div>
  );
}

function notificationItem(): MenuItem {
  const permission = "Notification" in window ? Notification.permission : "denied";
  return {
    label: "Notify when a run ends",
    hint: permission === "granted" ? "is on" : "",
    disabled: permission === "denied" ? "The browser does not allow notifications." : "",
    perform: () => void Notification.requestPermission(),
  };
}

/** What goes on, how it ended, or what a click on Run would do. */
function Status() {
  const run = useStore((state) => state.run);
  const isLookingBack = useStore((state) => state.isLookingBack);
  const forecast = useStore((state) => state.forecast);
  const problem = useStore((state) => state.forecastProblem);
  const openDrawer = useStore((state) => state.openDrawer);
  const isRunning = run?.state === "running";
  const now = useNow(isRunning === true);
  const numNext = Object.keys(forecast).length;
  if (isLookingBack || (run === null && numNext === 0)) return null;
  if (run === null) return <span className="run-status quiet">{forecastSummary(forecast)}</span>;
  const counts = countsOf(run);
  const failed = failedNode(run);
  const look = lookOf(run.state);
  const text = isRunning
    ? `${counts.ended} of ${counts.total} · ${elapsedText(now - run.started)}`
    : `${capitalized(look.word)} ${run.seconds === null ? "" : `in ${durationText(run.seconds)}`}`;
  const next = !isRunning && problem === "" && numNext > 0 ? `Next: ${forecastSummary(forecast)}` : "";
  return (
    <span className="run-status">
      <button
        type="button"
        className="run-link"
        data-tone={look.tone}
        title={failed === null ? "Open the history of runs" : `Go to ${failed}, which failed (F8)`}
        onClick={() => (failed === null ? openDrawer("history") : goToFailure())}
      >
        <StateIcon state={run.state} />
        <span className={isRunning ? "" : "run-word"}>{failed === null ? text : `${failed} failed`}</span>
        {!isRunning && <span className="quiet run-roomy">{agoText(run.started + (run.seconds ?? 0))}</span>}
      </button>
      {next !== "" && <span className="quiet run-roomy run-next">{next}</span>}
      {isRunning && <progress aria-label="Nodes that have ended" max={counts.total} value={counts.ended} />}
    </span>
  );
}

function capitalized(word: string): string {
  return word.charAt(0).toUpperCase() + word.slice(1);
}

function PlayIcon() {
  return (
    <svg className="run-icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d="M5 3.2v9.6L12.5 8z" className="run-solid" />
    </svg>
  );
}

function ArrowIcon() {
  return (
    <svg className="run-icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d="M4.5 6.5 8 10l3.5-3.5" />
    </svg>
  );
}
