/** The strip at the foot of a card: its state in the run that is looked at, or what a run would do with it. */

import type { NodeState } from "../api/types";
import { duration } from "../shared/words";
import { nodeState } from "../state/runsSlice";
import { useStore } from "../state/store";

const SIGNS: Record<NodeState["state"], string> = {
  waiting: "○",
  running: "◔",
  completed: "✓",
  reused: "↺",
  failed: "✕",
  canceled: "■",
  skipped: "–",
  interrupted: "!",
};

export function StatusStrip({ node }: { node: string }) {
  const state = useStore((store) => nodeState(store, node));
  const forecast = useStore((store) => store.forecast[node]);
  if (state !== undefined) {
    return (
      <div className={`strip strip-${state.state}`} title={state.error?.message ?? state.reason ?? ""}>
        <span aria-hidden="true">{SIGNS[state.state]}</span>
        <span className="cut grow">{state.progress?.text ?? state.error?.message ?? state.state}</span>
        {state.seconds !== null && <span>{duration(state.seconds)}</span>}
        {state.progress?.fraction != null && (
          <span className="strip-bar" style={{ width: `${Math.round(state.progress.fraction * 100)}%` }} />
        )}
      </div>
    );
  }
  if (forecast === undefined) return null;
  return (
    <div className={`strip strip-${forecast.state === "reused" ? "reused" : "waiting"}`} title={forecast.reason}>
      <span aria-hidden="true">{forecast.state === "reused" ? "↺" : "▸"}</span>
      <span className="cut grow">{forecast.reason}</span>
    </div>
  );
}
