/** Run, cancel and state of the run, in the bar at the top. */

export function RunControls() {
  return null;
}
