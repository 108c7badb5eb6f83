/** Icon of a state. The word beside it says the same, so it is hidden from screen readers. */

import { lookOf } from "./states";

export function StateIcon({ state }: { state: string }) {
  const look = lookOf(state);
  return (
    <svg className="run-icon" data-tone={look.tone} data-turns={state === "running"} viewBox="0 0 16 16" aria-hidden="true">
      {state === "running" && <circle className="run-icon-track" cx="8" cy="8" r="5.5" />}
      <path d={look.icon} />
    </svg>
  );
}
