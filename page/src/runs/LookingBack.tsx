/** Band that says that the canvas shows an earlier run, as it was then. */

import { useStore } from "../state/store";
import { lookOf } from "./states";
import { StateIcon } from "./StateIcon";
import { clockText } from "./wording";

export function LookingBack() {
  const run = useStore((state) => state.run);
  const isLookingBack = useStore((state) => state.isLookingBack);
  const isPast = useStore((state) => state.past !== null);
  const lookAtNow = useStore((state) => state.lookAtNow);
  const openRunDialog = useStore((state) => state.openRunDialog);
  if (!isLookingBack || run === null) return null;
  return (
    <aside className="run-back" aria-label="Earlier run">
      <StateIcon state={run.state} />
      <span>
        <span className="for-wide">{isPast ? "The pipeline as it was in the run of " : "The run of "}</span>
        <b>{clockText(run.started)}</b> ({lookOf(run.state).word}).
        {isPast ? "" : " Its pipeline was not kept."}
      </span>
      <button type="button" onClick={() => openRunDialog({ kind: "clone", run: run.run })}>
        Clone
      </button>
      <button type="button" className="primary" onClick={() => void lookAtNow()}>
        Back to now
      </button>
    </aside>
  );
}
