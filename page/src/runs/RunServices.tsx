/** What follows runs while the page is open, and its dialogs. */

import "./runs.css";

import { useEffect } from "react";

import { onServerEvent } from "../api/events";
import type { RunEvent } from "../api/types";
import { useStore } from "../state/store";
import { CloneDialog } from "./CloneDialog";
import { FaultDialog } from "./FaultDialog";
import { LookingBack } from "./LookingBack";
import { SdkDialog } from "./SdkDialog";
import { countsOf } from "./states";
import { SubmitDialog } from "./SubmitDialog";

const FORECAST_PAUSE_MILLISECONDS = 400;

export function RunServices() {
  useRunEvents();
  useForecast();
  useTitle();
  const dialog = useStore((state) => state.runDialog);
  return (
    <>
      <LookingBack />
      {dialog?.kind === "faults" && <FaultDialog node={dialog.node} />}
      {dialog?.kind === "sdk" && <SdkDialog />}
      {dialog?.kind === "submit" && <SubmitDialog />}
      {dialog?.kind === "clone" && <CloneDialog run={dialog.run} />}
    </>
  );
}

/** The last run of a document is found when it is opened, and again when the server was away. */
function useRunEvents(): void {
  const path = useStore((state) => state.path);
  const isConnected = useStore((state) => state.isConnected);
  useEffect(() => {
    if (isConnected) void useStore.getState().lookAtNow();
  }, [path, isConnected]);
  useEffect(
    () =>
      onServerEvent("run", (event) => {
        useStore.getState().takeRunEvent(event);
        if (event.kind === "ended") notifyOfEnd(event);
      }),
    [],
  );
}

/** Told anew after every edit, and after a run has ended, which keeps results. */
function useForecast(): void {
  const version = useStore((state) => state.confirmed?.version);
  const path = useStore((state) => state.path);
  const runState = useStore((state) => `${state.run?.run ?? ""} ${state.run?.state ?? ""}`);
  useEffect(() => {
    const timer = window.setTimeout(() => void useStore.getState().loadForecast(), FORECAST_PAUSE_MILLISECONDS);
    return () => window.clearTimeout(timer);
  }, [path, version, runState]);
}

/** How far the run is stands in the title, so that another tab may be worked in meanwhile. */
function useTitle(): void {
  const run = useStore((state) => state.run);
  const name = useStore((state) => state.document?.name ?? "");
  const isLookingBack = useStore((state) => state.isLookingBack);
  useEffect(() => {
    const where = [name, "Designer"].filter(Boolean).join(" · ");
    if (run === null || isLookingBack) document.title = where;
    else if (run.state === "running") {
      const { ended, total } = countsOf(run);
      document.title = `▶ ${ended}/${total} ${where}`;
    } else document.title = `${{ completed: "✓ ", failed: "✕ " }[run.state] ?? ""}${where}`;
  }, [run, name, isLookingBack]);
}

function notifyOfEnd({ summary }: RunEvent): void {
  if (!document.hidden || !("Notification" in window) || Notification.permission !== "granted") return;
  const shown = new Notification(`${summary.name}: ${summary.state}`, { body: summary.error ?? "", tag: summary.run });
  shown.onclick = () => window.focus();
}
