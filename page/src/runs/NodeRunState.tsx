/** One line on a node: its state in the run that is looked at, or what the next run would do with it. */

import type { NodeState } from "../api/types";
import { useStore } from "../state/store";
import { forecastOfNode, forecastText } from "./forecast";
import { hasEnded, lookOf, stateOfNode } from "./states";
import { StateIcon } from "./StateIcon";
import { useNow } from "./useNow";
import { clockText, durationText, elapsedText } from "./wording";

export function NodeRunState({ node }: { node: string }) {
  const run = useStore((state) => state.run);
  const forecast = useStore((state) => state.forecast);
  const isLookingBack = useStore((state) => state.isLookingBack);
  const state = stateOfNode(run, node);
  const next = isLookingBack || run?.state === "running" ? null : forecastOfNode(forecast, node);
  if (state?.state === "failed" || (state !== null && next === null)) return <Now state={state} />;
  if (next === null) return null;
  const text = forecastText(next);
  return (
    <div className="run-strip" data-tone={text.tone} title={text.long}>
      <StateIcon state={next.state === "reused" ? "reused" : "waiting"} />
      <span className="run-strip-text">{text.short}</span>
      {state?.seconds != null && state.state === "completed" && (
        <span className="quiet" title="How long it took in the last run">
          {durationText(state.seconds)}
        </span>
      )}
    </div>
  );
}

function Now({ state }: { state: NodeState }) {
  const isRunning = state.state === "running";
  const now = useNow(isRunning);
  const look = lookOf(state.state);
  const time = timeText(state, now);
  return (
    <div className="run-strip" data-tone={look.tone} data-state={state.state} title={hint(state)}>
      <StateIcon state={state.state} />
      <span className="run-strip-text">
        <b>{look.word}</b>
        {isRunning && state.progress !== null ? ` · ${state.progress.text}` : detail(state)}
      </span>
      {time !== "" && <span className="run-time">{time}</span>}
      {isRunning && <Progress fraction={state.progress?.fraction ?? null} />}
    </div>
  );
}

function Progress({ fraction }: { fraction: number | null }) {
  const width = fraction === null ? undefined : { width: `${Math.round(fraction * 100)}%` };
  return (
    <span className="run-track" aria-hidden="true">
      <span className="run-fill" data-known={fraction !== null} style={width} />
    </span>
  );
}

function timeText(state: NodeState, now: number): string {
  if (state.state === "running") return state.started === null ? "" : elapsedText(now - state.started);
  return state.seconds === null || state.state === "reused" ? "" : durationText(state.seconds);
}

function detail(state: NodeState): string {
  if (state.state === "reused" && state.reused_from !== null) return `, from ${clockText(state.reused_from)}`;
  return state.state === "failed" && state.error !== null ? ` · ${state.error.message}` : "";
}

function hint(state: NodeState): string {
  const parts = [state.error?.message, state.reason, state.progress?.text];
  if (hasEnded(state.state) && state.exit_code !== null) parts.push(`Exit code ${state.exit_code}`);
  return parts.filter(Boolean).join("\n");
}
