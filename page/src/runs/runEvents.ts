/** Events of runs, folded into the states that the page shows. A gap asks for the whole run again. */

import type { Run, RunEvent, RunSummary } from "../api/types";

export type Folded = { run: Run; isStale: boolean };

/**
 * The run after an event.
 *
 * An event that the run knows already changes nothing. One of a node that the run does not know makes it stale:
 * it is shown as it is, and has to be read again.
 */
export function fold(run: Run, event: RunEvent): Folded {
  if (event.run !== run.run || event.sequence <= run.sequence) return { run, isStale: false };
  const summary = { ...run, ...event.summary, sequence: event.sequence };
  if (event.kind !== "node" || event.node === undefined || event.state === undefined) {
    return { run: summary, isStale: event.kind === "started" };
  }
  const isKnown = event.node in run.nodes;
  return { run: { ...summary, nodes: { ...run.nodes, [event.node]: event.state } }, isStale: !isKnown };
}

/** The list of runs after an event, latest first. */
export function foldSummary(runs: readonly RunSummary[], event: RunEvent): RunSummary[] {
  const others = runs.filter((run) => run.run !== event.run);
  const position = runs.findIndex((run) => run.run === event.run);
  others.splice(Math.max(position, 0), 0, event.summary);
  return others;
}

/** What to say aloud about a change, or null where it is not worth a word. */
export function announcementOf(event: RunEvent): string | null {
  if (event.kind === "started") return `${event.summary.name} has started.`;
  if (event.kind === "ended") {
    const error = event.summary.error ? ` ${event.summary.error}` : "";
    return `${event.summary.name}: ${event.summary.state}.${error}`;
  }
  if (!event.node || !event.state) return null;
  const { state, error } = event.state;
  if (state === "failed") return `${event.node} failed. ${error?.message ?? ""}`.trim();
  return state === "completed" || state === "canceled" || state === "interrupted" ? `${event.node} ${state}.` : null;
}
