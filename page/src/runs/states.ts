/** States of runs and nodes: the word, the icon and the tone of each. A state is never told by color alone. */

import type { NodeState, Run } from "../api/types";

export type Tone = "quiet" | "busy" | "good" | "bad" | "warn";

export interface StateLook {
  word: string;
  tone: Tone;
  /** Path of a 16 x 16 icon, drawn as a stroke. */
  icon: string;
}

const CHECK = "M3 8.5 6.5 12 13 4.5";
const CROSS = "M4 4l8 8M12 4l-8 8";
const CIRCLE = "M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11";
const ARC = "M8 2.5a5.5 5.5 0 0 1 5.5 5.5";
const BAR = "M8 2.5a5.5 5.5 0 1 1 0 11 5.5 5.5 0 0 1 0-11M4.2 4.2l7.6 7.6";
const RETURN = "M3 8a5 5 0 1 0 1.6-3.7M3 2.5v3h3";
const SKIP = "M2.5 4.5 7 8l-4.5 3.5zM8 4.5 12.5 8 8 11.5zM13.5 4.5v7";
const BOLT = "M9 1.5 4 9h4l-1 5.5L12 7H8z";

const LOOKS: Record<string, StateLook> = {
  waiting: { word: "waiting", tone: "quiet", icon: CIRCLE },
  running: { word: "running", tone: "busy", icon: ARC },
  completed: { word: "completed", tone: "good", icon: CHECK },
  reused: { word: "reused", tone: "good", icon: RETURN },
  failed: { word: "failed", tone: "bad", icon: CROSS },
  canceled: { word: "canceled", tone: "warn", icon: BAR },
  skipped: { word: "skipped", tone: "quiet", icon: SKIP },
  bypassed: { word: "bypassed", tone: "quiet", icon: SKIP },
  "left out": { word: "left out", tone: "quiet", icon: SKIP },
  interrupted: { word: "interrupted", tone: "warn", icon: BOLT },
};

export function lookOf(state: string): StateLook {
  return LOOKS[state] ?? { word: state, tone: "quiet", icon: CIRCLE };
}

export function hasEnded(state: string): boolean {
  return state !== "waiting" && state !== "running";
}

/** The state of a node of the canvas. One that holds nodes (`outer.inner` in the run) has that of the most urgent. */
export function stateOfNode(run: Run | null, name: string): NodeState | null {
  if (!run) return null;
  const own = run.nodes[name];
  if (own) return own;
  const inner = namesInside(run, name).map((inside) => run.nodes[inside]!);
  return inner.length === 0 ? null : joined(inner);
}

/** The nodes of the run that are inside a node of the canvas, or that node itself. */
export function namesInside(run: Run, name: string): string[] {
  if (run.nodes[name]) return [name];
  return Object.keys(run.nodes).filter((other) => other.startsWith(`${name}.`));
}

/** The node of the canvas that shows a node of the run. */
export function nodeOnCanvas(runNode: string, canvas: readonly string[]): string | null {
  const outer = canvas.filter((name) => name === runNode || runNode.startsWith(`${name}.`));
  return outer.sort((one, other) => other.length - one.length)[0] ?? null;
}

/** The node whose failure came first, if one has failed. */
export function failedNode(run: Run | null): string | null {
  if (!run) return null;
  const failed = Object.entries(run.nodes).filter(([, node]) => node.state === "failed");
  const end = (node: NodeState) => (node.started ?? Infinity) + (node.seconds ?? 0);
  failed.sort(([, one], [, other]) => end(one) - end(other));
  return failed[0]?.[0] ?? null;
}

export interface Counts {
  total: number;
  ended: number;
  running: number;
  reused: number;
  failed: number;
}

export function countsOf(run: Run): Counts {
  // A node that was skipped was not asked for, or could not run any more.
  const nodes = Object.values(run.nodes).filter((node) => node.state !== "skipped");
  const count = (state: string) => nodes.filter((node) => node.state === state).length;
  return {
    total: nodes.length,
    ended: nodes.filter((node) => hasEnded(node.state)).length,
    running: count("running"),
    reused: count("reused"),
    failed: count("failed"),
  };
}

const URGENCY = ["failed", "running", "interrupted", "canceled", "waiting", "skipped", "completed", "reused"];

function joined(nodes: NodeState[]): NodeState {
  const rank = (node: NodeState) => (URGENCY.indexOf(node.state) + URGENCY.length + 1) % (URGENCY.length + 1);
  const first = nodes.reduce((best, node) => (rank(node) < rank(best) ? node : best));
  const ended = nodes.filter((node) => hasEnded(node.state)).length;
  const isGoingOn = first.state === "running" || (first.state === "waiting" && ended > 0);
  const starts = nodes.flatMap((node) => (node.started === null ? [] : [node.started]));
  const started = starts.length === 0 ? null : Math.min(...starts);
  const ends = nodes.map((node) => (node.started ?? 0) + (node.seconds ?? 0));
  return {
    ...first,
    state: isGoingOn ? "running" : first.state,
    started,
    seconds: isGoingOn || started === null ? null : Math.max(...ends) - started,
    progress: isGoingOn ? { text: `${ended} of ${nodes.length} nodes`, fraction: ended / nodes.length } : null,
    outputs: [],
    log_files: [],
  };
}
