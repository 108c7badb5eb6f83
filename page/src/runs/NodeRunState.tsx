/** One line on a node: its state in the run that is looked at, or what the next run would do with it. */

import type { ForecastNode, NodeState } from "../api/types";
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
  const isOther = useStore((state) => state.isLookingBack && state.past === null);
  const state = isOther ? null : stateOfNode(run, node);
  const next = isLookingBack || run?.state === "running" ? null : forecastOfNode(forecast, node);
  if (next === null || state?.state === "failed") return state === null ? null : <Now state={state} />;
  return <Before state={state} next={next} />;
}

/** Between runs: how the last one ended, and what the next one would do. */
function Before({ state, next }: { state: NodeState | null; next: ForecastNode }) {
  const text = forecastText(next);
  const look = state === null ? null : lookOf(state.state);
  return (
    <div className="run-strip" title={[state === null ? "" : hint(state), text.long].filter(Boolean).join("\n")}>
      {state !== null && look !== null && (
        <span className="run-strip-last" data-tone={look.tone} data-state={state.state}>
          <StateIcon state={state.state} />
          <b>{look.word}</b>
          <span className="run-time">{timeText(state, 0)}</span>
        </span>
      )}
      <span className="run-strip-next" data-tone={text.tone}>
        {next.state === "reused" ? <StateIcon state="reused" /> : <NextIcon />}
        <span className="cut">
          <span className="hidden-text">Next: </span>
          {text.short}
        </span>
      </span>
    </div>
  );
}

function NextIcon() {
  return (
    <svg className="run-icon" viewBox="0 0 16 16" aria-hidden="true">
      <path d="M5 3.5v9L12 8z" />
    </svg>
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
  const time = timeText(state, 0);
  const ended = time === "" ? "" : `${lookOf(state.state).word} in ${time}`;
  const parts = [hasEnded(state.state) ? ended : "", state.error?.message, state.reason, state.progress?.text];
  if (hasEnded(state.state) && state.exit_code !== null) parts.push(`Exit code ${state.exit_code}`);
  return parts.filter(Boolean).join("\n");
}
