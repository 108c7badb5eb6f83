/** Which node of the run the drawer shows, with its state. */

import { useStore } from "../state/store";
import { lookOf } from "../runs/states";
import { StateIcon } from "../runs/StateIcon";
import { useNow } from "../runs/useNow";
import { clockText, durationText, elapsedText, sizeText } from "../runs/wording";
import { useLookedAt } from "./useLookedAt";

export function NodeChoice() {
  const { node, names, choose } = useLookedAt();
  const state = useStore(({ run }) => (node === null ? undefined : run?.nodes[node]));
  const isRunning = state?.state === "running";
  const now = useNow(isRunning);
  if (node === null || state === undefined) return null;
  const facts = [
    isRunning && state.started !== null ? elapsedText(now - state.started) : null,
    isRunning ? (state.progress?.text ?? null) : null,
    !isRunning && state.seconds !== null && state.state !== "reused" ? durationText(state.seconds) : null,
    state.reused_from !== null ? `from ${clockText(state.reused_from)}` : null,
    state.exit_code !== null && state.exit_code !== 0 ? `exit code ${state.exit_code}` : null,
    state.peak_memory_bytes === null ? null : `${sizeText(state.peak_memory_bytes)} of memory`,
  ];
  return (
    <>
      <select aria-label="Node" className="look-choice" value={node} onChange={(event) => choose(event.target.value)}>
        {names.map((name) => (
          <option key={name}>{name}</option>
        ))}
      </select>
      <span className="look-state" data-tone={lookOf(state.state).tone}>
        <StateIcon state={state.state} /> {lookOf(state.state).word}
      </span>
      <span className="quiet small look-facts">{facts.filter(Boolean).join(" · ")}</span>
    </>
  );
}
